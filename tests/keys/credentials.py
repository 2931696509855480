"""What each key of `credential_guard` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

import llmtrace_sdk as llmtrace
from tests.transport.wire import ATTACK, HELLO, Wire, client

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.core.model import CallRecord

    from .bench import Bench

REST = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4"
CLAUDES = {"x-api-key": f"sk-ant-{REST}"}
OPENAIS = {"authorization": f"Bearer sk-proj-{REST}"}
HOME = "https://api.openai.com/v1/chat/completions"
GATEWAY = "https://llm.example.com/v1/chat/completions"
PRIVATE = "http://10.0.0.1:4000/v1/chat/completions"


def sent(url: str, headers: dict[str, str], *, body: dict[str, Any] = HELLO, **settings: Any) -> tuple[int, CallRecord]:
    """One call; whether it was sent, and its record, in which nothing of the key may be."""
    records: list[CallRecord] = []
    llmtrace.configure(**settings)
    remove = llmtrace.on_record(records.append)
    wire = Wire()
    try:
        with client(httpx, "sync", wire) as http:
            http.post(url, headers=headers, json=body)
        assert llmtrace.flush(10)
    finally:
        remove()
    (record,) = records
    assert not any(REST[at : at + 6] in repr(record) for at in range(len(REST) - 5))
    return len(wire.requests), record


def rules(record: CallRecord) -> list[str]:
    return [finding.rule for finding in record.findings]


def mode(_: Bench) -> None:
    astray = "credential_egress.anthropic.other_provider"
    calls, record = sent(HOME, CLAUDES)
    assert (calls, record.decision.action, rules(record)) == (1, "flag", [astray])
    calls, record = sent(HOME, CLAUDES, credential_guard={"mode": "block"})
    assert (calls, record.decision.action, rules(record)) == (0, "block", [astray])
    assert record.decision.reason == "credential_egress.high"
    assert record.prompt.model == HELLO["model"]
    calls, record = sent(HOME, CLAUDES, credential_guard={"mode": "off"})
    assert (calls, record.decision.action, rules(record)) == (1, "allow", [])
    calls, record = sent(HOME, OPENAIS, credential_guard={"mode": "block"})
    assert (calls, record.decision.action, rules(record)) == (1, "allow", [])


def mode_and_policy(_: Bench) -> None:
    """The policy's own mode neither weakens nor strengthens it; shadow mode does keep it from being enforced."""
    assert sent(HOME, CLAUDES, enforcement={"mode": "block"})[0] == 1
    calls, record = sent(HOME, CLAUDES, enforcement={"shadow": True}, credential_guard={"mode": "block"})
    assert (calls, record.decision.action, record.decision.shadowed) == (1, "log", "block")
    attack = {**HELLO, "messages": [{"role": "user", "content": ATTACK}]}
    calls, record = sent(HOME, CLAUDES, body=attack, enforcement={"mode": "block"})
    assert (calls, record.decision.action) == (0, "block")
    assert "credential_egress" in {finding.type for finding in record.findings}


def allowed_hosts(_: Bench) -> None:
    guard = {"mode": "block"}
    assert sent(GATEWAY, OPENAIS, credential_guard=guard)[0] == 0
    assert sent(GATEWAY, OPENAIS, credential_guard={**guard, "allowed_hosts": ["*.example.com"]})[0] == 1
    plain = GATEWAY.replace("https", "http")
    assert sent(plain, OPENAIS, credential_guard={**guard, "allowed_hosts": ["*.example.com"]})[0] == 0
    assert sent(plain, OPENAIS, credential_guard={**guard, "allowed_hosts": ["http://*.example.com"]})[0] == 1


def strict(_: Bench) -> None:
    guard = {"mode": "block"}
    assert sent(PRIVATE, OPENAIS, credential_guard=guard)[0] == 1
    assert sent(PRIVATE, OPENAIS, credential_guard={**guard, "strict": True})[0] == 0
    assert sent(PRIVATE, OPENAIS, credential_guard={**guard, "strict": True, "allowed_hosts": ["10.0.0.?"]})[0] == 1


def both(bench: Bench) -> None:
    mode(bench)
    mode_and_policy(bench)


EFFECTS: dict[str, Callable[[Bench], None]] = {
    "credential_guard.mode": both,
    "credential_guard.allowed_hosts": allowed_hosts,
    "credential_guard.strict": strict,
}
