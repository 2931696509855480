"""Weaknesses in the code of an answer (OWASP LLM05): code blocks, judged by the rules of their language.

A rule's language is the last part of its id; `any` is for every language. Blocks are fenced ones, and indented ones in
a text without fences (CommonMark 0.31, sections 4.4 and 4.5). A block without a language is judged by all rules.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from llmtrace_sdk.core.model import Finding, Severity
from llmtrace_sdk.core.patterns import PatternSet
from llmtrace_sdk.detectors import _rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmtrace_sdk.core.model import Channel, Phase, Segment
    from llmtrace_sdk.core.patterns import Rule

PLACES: Final = 16
"""How many places of one rule are looked at in one block."""

ANY: Final = "any"
ALL: Final = "all"
LOOK_BACK: Final = 160

_NAMES: Final = {
    "python": "python py python3 py3 pycon ipython gyp sage jupyter",
    "js": "js javascript jsx ts typescript tsx node mjs cjs vue svelte html xhtml htm angular react deno",
    "java": "java kotlin kt scala groovy jsp android",
    "csharp": "csharp cs c# dotnet razor cshtml",
    "php": "php php3 php7 php8 blade laravel",
    "go": "go golang",
    "ruby": "ruby rb erb rails jruby",
    "rust": "rust rs",
    "c": "c cpp c++ cxx cc h hpp objc objective-c objectivec arduino ino cuda",
    "shell": "sh bash shell zsh ksh fish console terminal shell-session shellsession dockerfile docker makefile make",
    "sql": "sql plsql tsql mysql postgresql postgres sqlite pgsql psql oracle",
    ANY: "json yaml yml toml ini xml text txt plain plaintext md markdown csv output log none css scss properties"
    " nginx apache conf http graphql hcl terraform tf powershell ps1 diff",
}
LANGUAGES: Final = {name: language for language, names in _NAMES.items() for name in names.split()}
"""The language of a block by the word behind its fence."""

_FENCE: Final = re.compile(r"^[ \t>]{0,80}(`{3,}|~{3,})[ \t]{0,8}\{?\.?([\w+#.-]{0,30})", re.MULTILINE)
_INDENTED: Final = re.compile(r"(?:\A|\n[ \t]*\n)((?:(?:    |\t)[^\n]*(?:\n|\Z))+)")
_COMMENT: Final = re.compile(r"[ \t]*(?:#(?!\w*\s*<)|//|/?\*|--|<!--|;;|rem\b)", re.IGNORECASE)
_SHOWN_AS_BAD: Final = re.compile(
    r"\b(?:vulnerable|insecure|unsafe|bad|wrong|dangerous|avoid|don['\u2019]?t|do not|never|instead of|exploit\w*"
    r"|flaw\w*|weak|before|not recommended|anti-?pattern)\b",
    re.IGNORECASE,
)


class Block(NamedTuple):
    """A piece of code: its language as in rule ids, `any` or `all`, and its place in characters."""

    language: str
    start: int
    end: int


class InsecureCode:
    """Judges the code blocks of an answer; prose costs nothing but the search for them."""

    name = "insecure_code"
    phases: frozenset[Phase] = frozenset({"output"})
    channels: frozenset[Channel] = frozenset({"assistant"})

    def detect(self, segment: Segment, phase: Phase, /) -> tuple[Finding, ...]:
        """The weaknesses found; what the answer itself calls bad is of low severity."""
        if phase not in self.phases or segment.kind != "text":
            return ()
        text = segment.text
        found = []
        for block in blocks(text):
            for rule, start, end in _matches(text[block.start : block.end], block.language):
                place = block.start + start, block.start + end
                bad = _shown_as_bad(text, block, place[0])
                severity, confidence = (Severity.LOW, 0.4) if bad else (rule.severity, rule.confidence)
                found.append(self._finding(rule, severity, confidence, place, segment, phase))
        return tuple(found)

    def _finding(
        self,
        rule: Rule,
        severity: Severity,
        confidence: float,
        place: tuple[int, int],
        segment: Segment,
        phase: Phase,
    ) -> Finding:
        return Finding(
            self.name,
            rule.id,
            severity,
            confidence,
            *place,
            segment.pointer,
            segment.channel,
            segment.kind,
            phase,
            self.name,
            rule.category,
        )


def blocks(text: str) -> list[Block]:
    """The code blocks of a text, in order; linear in its length."""
    if "```" in text or "~~~" in text:
        return list(_fenced(text))
    if "    " in text or "\t" in text:
        return [Block(ALL, *match.span(1)) for match in _INDENTED.finditer(text)]
    return []


def _fenced(text: str) -> Iterator[Block]:
    opened = language = None
    start = 0
    for fence in _FENCE.finditer(text):
        mark, name = fence[1], fence[2]
        if opened is None:
            line_end = text.find("\n", fence.end())
            if line_end < 0 or "`" in text[fence.end() : line_end]:  # nothing behind it, or it is code inside a line
                continue
            opened, language, start = mark, LANGUAGES.get(name.lower(), ALL), line_end + 1
        elif mark[0] == opened[0] and len(mark) >= len(opened) and not name:
            yield Block(language or ALL, start, max(start, fence.start()))
            opened = None
    if opened is not None:
        yield Block(language or ALL, start, len(text))


def _matches(code: str, language: str) -> Iterator[tuple[Rule, int, int]]:
    patterns = _patterns(language)
    for index in patterns.match(code):
        rule = patterns.rules[index]
        check = CHECKS[rule.check] if rule.check else None
        for start, end in patterns.spans(index, code, PLACES):
            if (check is None or check(code, start, end)) and not _in_comment(code, start):
                yield rule, start, end


@cache
def _patterns(language: str) -> PatternSet:
    wanted = {ANY, language}
    rules = _rules.load("insecure_code")
    return PatternSet([rule for rule in rules if language == ALL or language_of(rule) in wanted])


def language_of(rule: Rule) -> str:
    """The language that a rule is for."""
    return rule.id.rpartition(".")[2]


def _in_comment(code: str, start: int) -> bool:
    return bool(_COMMENT.match(code, _line_start(code, start), start + 1))


def _shown_as_bad(text: str, block: Block, start: int) -> bool:
    """Whether the words before the block, or a comment on the line or the one before it, warn of the code."""
    before = text[max(0, block.start - LOOK_BACK) : block.start]
    if _SHOWN_AS_BAD.search(before[before.rfind("\n\n", 0, -40) + 1 :]):
        return True
    first = _line_start(text, start)
    for begin in (first, _line_start(text, max(block.start, first - 1))):
        line = text[max(begin, start - LOOK_BACK) : _line_end(text, begin)]
        comment = re.search(r"#|//|--|/\*", line)
        if comment and _SHOWN_AS_BAD.search(line, comment.end()):
            return True
    return False


def _line_start(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position, position + 1_000)
    return end if end >= 0 else min(len(text), position + 1_000)


_CONSTANT: Final = re.compile(r"[^(]{0,60}\(\s*[rb]?(?:\"[^\"{%\n]*\"|'[^'{%\n]*')\s*[,)](?!\s*%)")
_SAFE_LOADER: Final = re.compile(r"\b(?:C?SafeLoader|CBaseLoader|BaseLoader)\b")
_ESCAPED: Final = re.compile(r"escapeshell\w+|basename\(|realpath\(|intval\(|\(int\)|htmlspecialchars|preg_quote")
_FILTERED: Final = re.compile(r"\bfilter\s*=|secure_filename|safe_join|is_relative_to|members\s*=")
_SANITISED: Final = re.compile(
    r"saniti[sz]e|DOMPurify|escape|encode|trusted|i18n|\bt\(|highlight|\.html\b", re.IGNORECASE
)
_SAFE_XML: Final = re.compile(
    r"disallow-doctype-decl|setExpandEntityReferences\(\s*false|SECURE_PROCESSING|SUPPORT_DTD|ACCESS_EXTERNAL|external-"
)
_NO_VALUE: Final = re.compile(
    r"(?i)[<{$%*]|\A(?:password|passwd|secret|token|string|null|none|true|false|undefined|test\w*|example\w*|required"
    r"|optional|bearer|basic)\Z|(?:your|my|the|some|change|insert|replace|enter|placeholder|example|dummy|sample|fake"
    r"|xxx|\.\.\.|todo|redacted|env|getenv|config\.)|_here\Z|\A[a-z]+(?:[_ -][a-z]+)*\Z|\A[A-Z]+(?:_[A-Z]+)*\Z|\A[/.]|://"
)


def shell_with_variable(code: str, start: int, end: int) -> bool:
    """Not a command that is written out in full."""
    return not _CONSTANT.match(code[start : _line_end(code, end)])


def no_regex_exec(code: str, start: int, _end: int) -> bool:
    """`exec` of a process, not of a regular expression or a database."""
    return code[start - 1 : start] not in (".", "_", "$") or code[start:].startswith(("child_process", "cp."))


def unsafe_load(code: str, start: int, end: int) -> bool:
    """No safe loader is named on the line."""
    return not _SAFE_LOADER.search(code, start, _line_end(code, end))


def not_restricted(code: str, start: int, end: int) -> bool:
    """The classes that may be made are not listed."""
    return "allowed_classes" not in code[start : _line_end(code, end)]


def not_escaped(code: str, start: int, end: int) -> bool:
    """Nothing on the line makes the argument safe, and it is no method or part of a longer name."""
    method = code[max(0, start - 2) : start].endswith(("->", "::", "_"))
    return not method and not _ESCAPED.search(code, start, _line_end(code, end))


def no_filter(code: str, start: int, end: int) -> bool:
    """Nothing on the line keeps the path inside its folder."""
    return not _FILTERED.search(code, _line_start(code, start), _line_end(code, end))


def not_sanitised(code: str, start: int, end: int) -> bool:
    """Nothing on the line cleans the markup."""
    return not _SANITISED.search(code, start, _line_end(code, end)) or "dangerouslySet" in code[start:end]


def not_secret_module(code: str, start: int, end: int) -> bool:
    """The source of randomness is not the operating system's."""
    return "secrets." not in code[start:end] and "SystemRandom" not in code[max(0, start - 40) : end]


def a_real_value(code: str, start: int, end: int) -> bool:
    """A value that can be in use: no stand-in, no name of another variable, no plain words."""
    return not _NO_VALUE.search(code[start:end])


def entities_on(code: str, start: int, end: int) -> bool:
    """Nothing after it forbids external entities."""
    return not _SAFE_XML.search(code, start, min(len(code), end + 1_000))


CHECKS: Final[dict[str, Callable[[str, int, int], bool]]] = {
    check.__name__: check
    for check in (
        shell_with_variable,
        no_regex_exec,
        unsafe_load,
        not_restricted,
        not_escaped,
        no_filter,
        not_sanitised,
        not_secret_module,
        a_real_value,
        entities_on,
    )
}


def build() -> InsecureCode:
    """The detector."""
    return InsecureCode()
