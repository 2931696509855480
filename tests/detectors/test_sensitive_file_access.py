from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_sdk import detectors
from llmtrace_sdk.core.model import Finding, Kind, Phase, Segment, Severity
from llmtrace_sdk.core.scan import Engine

ENGINE = Engine(detectors.build(["sensitive_file_access", "dangerous_command", "suspicious_url"]))
SENSITIVE = [
    "/etc/passwd",
    "/etc/shadow",
    "/etc/sudoers",
    "../../../etc/passwd",
    "/home/ann/.ssh/id_rsa",
    "~/.ssh/config",
    "C:\\Users\\ann\\.ssh\\id_ed25519",
    "/root/.aws/credentials",
    "C:\\Users\\ann\\.aws\\credentials",
    "~/.config/gcloud/application_default_credentials.json",
    ".env",
    "/srv/app/.env.production",
    "/home/ann/.kube/config",
    "/var/run/secrets/kubernetes.io/serviceaccount/token",
    "~/.docker/config.json",
    "~/.git-credentials",
    "~/.netrc",
    "~/.gnupg/private-keys-v1.d/a",
    "/proc/self/environ",
    "C:\\Windows\\System32\\config\\SAM",
    "C:\\Users\\ann\\AppData\\Local\\Google\\Chrome\\User Data\\Default\\Login Data",
    "/home/ann/.mozilla/firefox/x.default/logins.json",
    "/Users/ann/Library/Keychains/login.keychain-db",
]
SAFE = [
    "/home/ann/notes.txt",
    "/etc/hosts",
    "src/environment.ts",
    ".env.example",
    "process.env.HOME",
    "docs/passwd.md",
    "keyboard.keys",
    "event.key",
    "src/aws/credentials.py",
    "C:\\Windows\\System32\\drivers\\etc\\hosts",
    "../../src/app.ts",
    "id_rsa.pub",
]


def found(text: str, phase: Phase = "output", kind: Kind = "tool_call") -> list[Finding]:
    report = ENGINE.scan((Segment(text, "assistant", "", kind, "read_file"),), phase)
    assert report.failed == ()
    return [f for f in report.findings if f.type == "sensitive_file_access"]


@pytest.mark.parametrize("path", SENSITIVE)
@pytest.mark.parametrize("phase", ["input", "output"])
def test_sensitive(path: str, phase: Phase) -> None:
    for text in (
        path,
        json.dumps({"path": path}),
        json.dumps({"command": f"cat {path}"}),
        json.dumps({"a": [path]}).replace("/", "\\/"),
    ):
        assert max((f.severity for f in found(text, phase)), default=None) == Severity.HIGH, text


@pytest.mark.parametrize("path", SAFE)
def test_safe(path: str) -> None:
    for text in (json.dumps({"path": path}), json.dumps({"command": f"cat {path} | head"})):
        assert [(f.rule, text[f.start : f.end]) for f in found(text)] == []


def test_only_tool_calls_are_judged() -> None:
    assert found("/etc/passwd", "output", "text") == []


def test_three_actions_in_one_answer() -> None:
    calls = ["rm -rf /", "http://203.0.113.9/a", "/etc/shadow"]
    segments = [Segment(json.dumps({"x": call}), "assistant", f"/{at}", "tool_call") for at, call in enumerate(calls)]
    report = ENGINE.scan(segments, "output")
    assert {(f.type, f.pointer) for f in report.findings} >= {
        ("dangerous_command", "/0"),
        ("suspicious_url", "/1"),
        ("sensitive_file_access", "/2"),
    }


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([*SENSITIVE, *SAFE, "\\", "/", "é", "\ud800", '"']) | st.text(max_size=9), max_size=7))
def test_any_text(parts: list[str]) -> None:
    text = "".join(parts)
    assert all(0 <= f.start < f.end <= len(text) for f in found(text))
