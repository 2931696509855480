"""Rule files, and the detector that most of them need: rules and the functions that confirm what they match.

A rule file is TOML: `[defaults]` holds fields common to its rules, `[words]` named pieces of text, `[[rules]]` one
`Rule` each. `%{name}` stands for a word in patterns, probes, examples and near misses, and in later words. `[loose]`
has other forms of some words for probes, which match more and cost less; a rule without `probe` has its pattern with
loose words for one. `flags` is a field of the file format only: it is put in front of pattern, probe and tail as
`(?flags)`. An empty text stands for no value, where a default is not wanted.
Patterns are written in natural spelling, and folded as the texts are that they are matched against.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
import zlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmtrace_sdk.core import clauses
from llmtrace_sdk.core.model import Severity
from llmtrace_sdk.core.patterns import Rule, python_syntax
from llmtrace_sdk.core.scan import Engine
from llmtrace_sdk.core.text import fold_pattern

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from importlib.resources.abc import Traversable

    from llmtrace_sdk.core.model import Finding, Phase, Segment

Check = Callable[[str, int, int], bool]
"""Confirms a match: whole text, start, end."""

COMPILED: Final = "compiled.bin"

_WORD: Final = re.compile(r"%\{(\w+)\}")


class RuleDetector:
    """Finds what its rules match and its checks confirm.

    An `Engine` does not call `detect`: it takes `rules` and `confirm`, and matches the rules of all its detectors in
    one pass. Raises `ValueError` when a rule names a check that is not given.
    """

    __slots__ = ("_checks", "_engine", "name", "phases", "rules")

    def __init__(
        self, name: str, phases: Collection[Phase], rules: Iterable[Rule], checks: Mapping[str, Check] | None = None
    ) -> None:
        self.name = name
        self.phases = frozenset(phases)
        self.rules = tuple(rules)
        self._checks = dict(checks or {})
        self._engine: Engine | None = None
        for rule in self.rules:
            if rule.check is not None and rule.check not in self._checks:
                raise ValueError(f"detector {name}: rule {rule.id!r}: unknown check {rule.check!r}")

    def confirm(self, rule: Rule, text: str, start: int, end: int, /) -> bool:
        """Whether a match of one of `rules` is a finding."""
        return rule.check is None or self._checks[rule.check](text, start, end)

    def detect(self, segment: Segment, phase: Phase, /) -> tuple[Finding, ...]:
        """Findings of one segment, without the rest of the pipeline."""
        engine = self._engine = self._engine or Engine((self,))
        return engine.scan((segment,), phase).findings


def load(finding_type: str) -> tuple[Rule, ...]:
    """The shipped rules of one finding type, whichever file of `data/rules` they are in (a language has its own).

    Raises `KeyError` when there are none, and `ValueError` for a bad file.
    """
    return _by_type()[finding_type]


def parse(source: str, name: str) -> tuple[Rule, ...]:
    """The rules of one file's text; `name` is what errors call it. Raises `ValueError` naming file and rule."""
    try:
        table = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name}: {error}") from error
    unknown = table.keys() - {"defaults", "words", "loose", "rules"}
    if unknown:
        raise ValueError(f"{name}: unknown table {', '.join(sorted(unknown))}")
    defaults, words = table.get("defaults", {}), table.get("words", {})
    try:
        exact, loose = _words(words), _words({**words, **table.get("loose", {})})
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    rules = tuple(_rule({**defaults, **row}, exact, loose, name) for row in table.get("rules", ()))
    _refuse_duplicates({name: rules})
    return rules


class _Compiled(msgspec.Struct):
    """What `compiled.bin` holds: all rules with what `core.clauses` says of them, and of which sources."""

    sources: bytes
    rules: dict[str, tuple[Rule, ...]]


def folder() -> Traversable:
    """Where the rule files are."""
    return files("llmtrace_sdk.data").joinpath("rules")


def compiled() -> bytes:
    """The rules of all files, ready to be used: what `compiled.bin` should be."""
    sources = _sources()
    rules = {name: tuple(map(_with_ways, found)) for name, found in _parsed(sources).items()}
    return zlib.compress(msgspec.msgpack.encode(_Compiled(_digest(sources), rules), order="deterministic"), 9)


@cache
def _shipped() -> dict[str, tuple[Rule, ...]]:
    """The rules of all files: from `compiled.bin`, or from the files themselves when they have changed since."""
    sources = _sources()
    ready = folder().joinpath(COMPILED)
    try:
        found = msgspec.msgpack.decode(zlib.decompress(ready.read_bytes()), type=_Compiled)
    except (OSError, zlib.error, msgspec.DecodeError):
        return _parsed(sources)
    return found.rules if found.sources == _digest(sources) else _parsed(sources)


def _sources() -> dict[str, bytes]:
    entries = sorted((entry for entry in folder().iterdir() if entry.name.endswith(".toml")), key=_name)
    return {_name(entry): entry.read_bytes() for entry in entries}


def _digest(sources: Mapping[str, bytes]) -> bytes:
    total = hashlib.sha256()
    for name, source in sources.items():
        total.update(f"{name} {len(source)}\n".encode() + source)
    return total.digest()


def _parsed(sources: Mapping[str, bytes]) -> dict[str, tuple[Rule, ...]]:
    parsed = {name: parse(source.decode(), f"rules/{name}.toml") for name, source in sources.items()}
    _refuse_duplicates(parsed)
    return parsed


def _with_ways(rule: Rule) -> Rule:
    pattern = python_syntax(rule.pattern)
    return msgspec.structs.replace(rule, ways=clauses.ways_of(pattern), ascii_only=clauses.matches_ascii(pattern))


@cache
def _by_type() -> dict[str, tuple[Rule, ...]]:
    types: dict[str, list[Rule]] = {}
    for rules in _shipped().values():
        for rule in rules:
            types.setdefault(rule.type, []).append(rule)
    return {finding_type: tuple(rules) for finding_type, rules in types.items()}


def _name(entry: Traversable) -> str:
    return entry.name.removesuffix(".toml")


def _refuse_duplicates(files: Mapping[str, Iterable[Rule]]) -> None:
    first: dict[str, str] = {}
    for file, rules in files.items():
        for rule in rules:
            if rule.id in first:
                raise ValueError(f"{file}: rule {rule.id!r}: already defined in {first[rule.id]}")
            first[rule.id] = file


def _words(table: Mapping[str, str]) -> dict[str, str]:
    words: dict[str, str] = {}
    for name, text in table.items():
        words[name] = _expand(text, words)
    return words


def _expand(text: str, words: Mapping[str, str]) -> str:
    def word(found: re.Match[str]) -> str:
        if found[1] not in words:
            raise ValueError(f"unknown word {found[1]!r}")
        return words[found[1]]

    return _WORD.sub(word, text)


def _rule(row: dict[str, Any], exact: Mapping[str, str], loose: Mapping[str, str], file: str) -> Rule:
    row = {field: value for field, value in row.items() if value != ""}
    try:
        flags = row.pop("flags", "")
        prefix = f"(?{flags})" if flags else ""
        if "pattern" in row:
            row.setdefault("probe", row["pattern"])
        for field, words in (("pattern", exact), ("probe", loose), ("tail", loose)):
            if field in row:
                row[field] = prefix + fold_pattern(_expand(row[field], words))
        for field in ("examples", "near_misses"):
            row[field] = [_expand(text, exact) for text in row.get(field, ())]
        row["severity"] = Severity.parse(str(row.get("severity")))
        return msgspec.convert(row, Rule)
    except (ValueError, TypeError) as error:  # msgspec.ValidationError is a ValueError
        raise ValueError(f"{file}: rule {row.get('id')!r}: {error}") from error
