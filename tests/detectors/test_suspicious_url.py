from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_sdk import detectors
from llmtrace_sdk.core.model import Finding, Kind, Phase, Segment, Severity
from llmtrace_sdk.core.scan import Engine

ENGINE = Engine(detectors.build(["suspicious_url"]))
SUSPICIOUS = [
    ("http://203.0.113.9/payload", Severity.MEDIUM),
    ("https://198.51.100.7:8443/", Severity.MEDIUM),
    ("http://2130706433/", Severity.MEDIUM),
    ("http://0x7f.0x0.0x0.0x1/", Severity.MEDIUM),
    ("http://[2001:db8::7]/x", Severity.MEDIUM),
    ("https://bank.com@evil.example.net/login", Severity.MEDIUM),
    ("file:///etc/hostname", Severity.MEDIUM),
    ("http://169.254.169.254/latest/meta-data/", Severity.HIGH),
    ("http://abcdefghij234567.onion/", Severity.HIGH),
    ("https://pastebin.com/raw/abc", Severity.HIGH),
    ("https://transfer.sh/a", Severity.HIGH),
    ("https://webhook.site/1-2-3", Severity.HIGH),
    ("https://a1b2.ngrok-free.app/", Severity.HIGH),
    ("http://192.168.1.4/admin", Severity.LOW),
    ("https://bit.ly/3abcde", Severity.LOW),
]
SAFE = [
    "http://127.0.0.1:8080/",
    "http://127.8.8.8/",
    "http://0.0.0.0:3000",
    "http://[::1]:3000/",
    "http://localhost:5432",
    "https://example.org/a?b=1.2.3.4",
    "https://example.org/pastebin.com.html.txt/x-y",
    "https://profile.io/",
    "version 1.2.3.4 of the file",
    "http://1.2.3.400/",
    "https://rabbit.ly/carrots",
]


def found(text: str, phase: Phase = "output", kind: Kind = "tool_call") -> tuple[Finding, ...]:
    report = ENGINE.scan((Segment(text, "assistant", "", kind, "browse"),), phase)
    assert report.failed == ()
    return report.findings


@pytest.mark.parametrize(("url", "severity"), SUSPICIOUS)
@pytest.mark.parametrize("phase", ["input", "output"])
def test_suspicious(url: str, severity: Severity, phase: Phase) -> None:
    for text in (
        json.dumps({"url": url}),
        json.dumps({"command": f"cd x\ncurl {url}"}),
        json.dumps({"url": url}).replace("/", "\\/"),
    ):
        assert max((f.severity for f in found(text, phase)), default=None) == severity, text


@pytest.mark.parametrize("url", SAFE)
def test_safe(url: str) -> None:
    text = json.dumps({"url": url})
    assert [(f.rule, text[f.start : f.end]) for f in found(text)] in ([], [("url.drop_host", "pastebin.com")])


def test_only_tool_calls_are_judged() -> None:
    assert found(SUSPICIOUS[0][0], "output", "text") == ()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from([*(u for u, _ in SUSPICIOUS), *SAFE, "http://", "999", ".", "é", "\ud800"])
        | st.text(max_size=9),
        max_size=7,
    )
)
def test_any_text(parts: list[str]) -> None:
    text = "".join(parts)
    assert all(0 <= f.start < f.end <= len(text) for f in found(text))
