from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from codecs import encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_sdk import detectors
from llmtrace_sdk.core.model import Finding, Phase, Segment, Severity
from llmtrace_sdk.detectors.canary_token_leakage import PREFIX, build, new_token, random_part
from llmtrace_sdk.errors import ConfigError

TOKEN = new_token(bytes(range(100, 116)))
SECRET = random_part(TOKEN)
OTHER = new_token(bytes(range(16)))
DETECTOR = build([OTHER, TOKEN])


def found(text: str, phase: Phase = "output") -> tuple[Finding, ...]:
    return DETECTOR.detect(Segment(text, "assistant", "/t"), phase)


@pytest.mark.parametrize(
    ("form", "rule", "severity"),
    [
        (TOKEN, "exact", Severity.CRITICAL),
        (SECRET, "exact", Severity.CRITICAL),
        (TOKEN.upper(), "other_case", Severity.CRITICAL),
        (b64encode(f"the mark is {TOKEN}.".encode()).decode(), "base64", Severity.HIGH),
        (b64encode(f"a mark: {TOKEN.upper()}".encode()).decode(), "base64", Severity.HIGH),
        (urlsafe_b64encode(SECRET.encode()).decode().rstrip("="), "base64", Severity.HIGH),
        (TOKEN.encode().hex(), "hex", Severity.HIGH),
        (" ".join(f"{byte:02X}" for byte in TOKEN.encode()), "hex", Severity.HIGH),
        (TOKEN[::-1], "reversed", Severity.HIGH),
        (encode(TOKEN, "rot13"), "rot13", Severity.HIGH),
        (" ".join(TOKEN), "spaced", Severity.HIGH),
        ("-".join(SECRET.upper()), "spaced", Severity.HIGH),
        ("\u200b".join(SECRET), "exact", Severity.CRITICAL),
        (SECRET[2:16], "partial", Severity.MEDIUM),
        (SECRET[-8:], "partial", Severity.MEDIUM),
    ],
)
@pytest.mark.parametrize("around", ["{}", "Sure, é: {} is it.", "日本\n{}\n"])
def test_leaks(form: str, rule: str, severity: Severity, around: str) -> None:
    text = around.replace("{}", form)
    (finding,) = found(text)
    assert (finding.rule, finding.severity) == (f"canary_token_leakage.{rule}", severity)
    assert text[finding.start : finding.end].strip("=\u200b") in form
    assert found(text, "input") == ()


def test_confidence_of_a_part_is_its_share() -> None:
    (finding,) = found(SECRET[:13])
    assert finding.confidence == round(13 / len(SECRET), 2)


@pytest.mark.parametrize("text", [PREFIX, PREFIX.upper(), PREFIX + SECRET[:7], SECRET[:7], "canary", "hello", "", " "])
def test_no_leak(text: str) -> None:
    assert found(text) == ()


def test_each_token_is_told_apart() -> None:
    assert [f.rule for f in found(f"{TOKEN} and {OTHER}")] == ["canary_token_leakage.exact"] * 2


def test_without_tokens_nothing_is_done() -> None:
    assert build().detect(Segment(TOKEN, "assistant", ""), "output") == ()


def test_marks_of_other_make() -> None:
    detector = build(["CANARY-Ab12Cd34Ef56Gh78"])
    assert detector.detect(Segment("CANARY-", "assistant", ""), "output") == ()
    (finding,) = detector.detect(Segment("it says ab12cd34ef56gh78", "assistant", ""), "output")
    assert finding.severity == Severity.CRITICAL


def test_new_tokens() -> None:
    assert new_token(b"0123456789") == new_token(b"0123456789") != new_token(b"1123456789")
    with pytest.raises(ValueError, match="at least 10 random bytes, not 9"):
        new_token(b"012345678")


@pytest.mark.parametrize("tokens", ["llmt-canary-abcdefgh", [""], ["short"], [1], 5, [PREFIX]])
def test_bad_options(tokens: object) -> None:
    with pytest.raises(ConfigError, match="detector canary_token_leakage: "):
        detectors.build(["canary_token_leakage"], canary_token_leakage={"tokens": tokens})


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.sampled_from([TOKEN, SECRET[:9], " ".join(SECRET), SECRET.encode().hex(), "İ", "\ud800", "\u200b"])
        | st.text(alphabet=st.characters(exclude_categories=()), max_size=12),
        max_size=7,
    )
)
def test_any_text(parts: list[str]) -> None:
    text = "".join(parts)
    findings = found(text)
    assert all(0 <= f.start < f.end <= len(text) and 0 < f.confidence <= 1 for f in findings)
    assert findings or TOKEN not in text


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=10, max_size=40))
def test_any_mark_is_found_in_base64_wherever_it_begins(data: bytes) -> None:
    token = new_token(data)
    for before in ("", "a", "ab"):
        text = b64encode(f"{before}{token} is it".encode()).decode()
        (finding,) = build([token]).detect(Segment(text, "assistant", ""), "output")
        assert finding.rule == "canary_token_leakage.base64"
