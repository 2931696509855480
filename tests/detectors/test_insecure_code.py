from __future__ import annotations

import re._parser as syntax  # type: ignore[import-not-found]
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_sdk.core.model import Finding, Phase, Segment, Severity
from llmtrace_sdk.core.patterns import PatternSet, Rule, python_syntax
from llmtrace_sdk.core.scan import Engine
from llmtrace_sdk.detectors import _rules, insecure_code
from llmtrace_sdk.detectors.insecure_code import ALL, ANY, CHECKS, LANGUAGES, blocks, language_of

DETECTOR = insecure_code.build()
RULES = _rules.load("insecure_code")
every_rule = pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
LANGUAGE_OF_FENCE = {"js": "javascript", "c": "cpp", "csharp": "cs", "shell": "bash", ANY: ""}


def found(text: str, phase: Phase = "output") -> tuple[Finding, ...]:
    return DETECTOR.detect(Segment(text, "assistant", "/t"), phase)


def fenced(code: str, language: str = "python") -> str:
    return f"Here you are:\n\n```{language}\n{code}\n```\n\nThat is all."


def matched(rule: Rule, patterns: PatternSet, code: str) -> list[str]:
    check = CHECKS[rule.check] if rule.check else None
    spans = patterns.spans(0, code, 100) if patterns.match(code) else []
    return [code[start:end] for start, end in spans if check is None or check(code, start, end)]


@every_rule
def test_examples_and_near_misses(rule: Rule) -> None:
    linear, backtracking = PatternSet([rule]), PatternSet([rule], backend="re")
    assert language_of(rule) in {*LANGUAGES.values(), ANY}
    assert syntax.parse(python_syntax(rule.pattern)).getwidth()[1] <= rule.max_length
    for code in (*rule.examples, *rule.near_misses):
        assert matched(rule, linear, code) == matched(rule, backtracking, code)
    assert all(matched(rule, linear, code) for code in rule.examples)
    assert [code for code in rule.near_misses if matched(rule, linear, code)] == []


@every_rule
def test_examples_are_found_in_a_block_of_their_language_with_their_place(rule: Rule) -> None:
    language = language_of(rule)
    for code in rule.examples:
        text = fenced(code, LANGUAGE_OF_FENCE.get(language, language))
        places = {f.rule: text[f.start : f.end] for f in found(text)}
        assert places[rule.id] in code
        assert found(code) == ()  # no block, no finding


def test_rules_are_those_of_the_language() -> None:
    code = "exec($cmd); os.system(cmd)"
    assert {f.rule for f in found(fenced(code, "php"))} == {"insecure_code.command_injection.php"}
    assert {f.rule for f in found(fenced(code, "py"))} == {"insecure_code.command_injection.python"}
    assert {f.rule for f in found(fenced(code, "json"))} == set()
    assert {language_of(rule) for rule in RULES if rule.id in {f.rule for f in found(fenced(code, ""))}} == {
        "c",
        "php",
        "python",
    }


def test_indented_blocks_count_where_there_are_no_fences() -> None:
    text = "Try this:\n\n    import os\n    os.system(cmd)\n\nDone."
    (finding,) = Engine([DETECTOR]).scan((Segment(text, "assistant", ""),), "output").findings
    assert finding.severity == Severity.CRITICAL
    assert text[finding.start : finding.end] == "os.system(cmd)"
    assert found("Try this:\n    os.system(cmd)") == ()  # goes on with the paragraph


@pytest.mark.parametrize(
    "text",
    [
        "This is vulnerable, never do it:\n\n" + "```python\nos.system(cmd)\n```",
        "```python\n# BAD: unsafe\nos.system(cmd)\n```",
        "```python\nos.system(cmd)  # dangerous\n```",
        "Use `subprocess.run` instead of this:\n\n```python\nos.system(cmd)\n```",
    ],
)
def test_what_is_shown_as_bad_is_low(text: str) -> None:
    assert [f.severity for f in found(text)] == [Severity.LOW]


def test_comments_are_no_code() -> None:
    assert found(fenced("# os.system(cmd) was used here\nsubprocess.run([cmd])")) == ()
    assert found(fenced("// eval(userInput)\nrun()", "js")) == ()


def test_a_long_safe_program() -> None:
    code = """
import hashlib, hmac, os, secrets, sqlite3, subprocess, yaml

def find(db, name):
    return db.execute("SELECT id FROM users WHERE name = ?", (name,)).fetchone()

def ping(host):
    return subprocess.run(["ping", "-c", "1", host], check=True, shell=False)

token = secrets.token_urlsafe(32)
digest = hashlib.sha256(data).hexdigest()
config = yaml.safe_load(open("config.yml"))
password = os.environ["DB_PASSWORD"]
response = requests.get(url, timeout=5, verify=True)
"""
    assert found(fenced(code)) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```py\na\n```\nx\n~~~\nb\n~~~", [("python", "a\n"), (ALL, "b\n")]),
        ("````md\n```py\na\n```\n````", [(ANY, "```py\na\n```\n")]),
        ("```js\nnever closed", [("js", "never closed")]),
        ("> ```c++\n> x;\n> ```", [("c", "> x;\n")]),
        ("no ``` code ``` here", []),
        ("```a```", []),
        ("```py", []),
        ("```\n```", [(ALL, "")]),
        ("a\n\n    x\n    y\n\nb", [(ALL, "    x\n    y\n")]),
    ],
)
def test_blocks(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(b.language, text[b.start : b.end]) for b in blocks(text)] == expected


def test_only_what_the_model_answers_is_judged() -> None:
    text = fenced("os.system(cmd)")
    assert found(text, "input") == ()
    engine = Engine([DETECTOR])
    assert engine.scan((Segment(text, "assistant", ""),), "output").findings
    assert not engine.scan((Segment(text, "assistant", ""),), "input").findings


@pytest.mark.parametrize(
    "piece",
    [
        "```\n",
        "```py\nos.system(f'{x}')\n```\n",
        "```js\n" + "`" + "select a from ${" * 9 + "\n",
        "    \n\n",
        "\n\n    x",
        "\t",
        "> ",
    ],
)
def test_linear(piece: str) -> None:
    found(piece)
    times = []
    for size in (30_000, 120_000):
        text = (piece * (size // len(piece) + 1))[:size]
        began = process_time()
        found(text)
        times.append(process_time() - began)
    assert times[1] < 1.5 + 12 * times[0]


@settings(deadline=None, max_examples=80)
@given(
    st.lists(
        st.sampled_from(["```", "```py\n", "~~~", "\n", "\n\n    ", "é", "\ud800", *(r.examples[0] for r in RULES)])
        | st.text(alphabet=st.characters(exclude_categories=()), max_size=12),
        max_size=9,
    )
)
def test_any_text(parts: list[str]) -> None:
    text = "".join(parts)
    assert all(0 <= f.start < f.end <= len(text) for f in found(text))
    assert all(0 <= b.start <= b.end <= len(text) for b in blocks(text))
