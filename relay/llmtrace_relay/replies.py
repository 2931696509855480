"""What the relay answers itself, and the header fields that it adds; the bodies are those of LLMTrace's proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmtrace_sdk.core.admission import MICRO
from llmtrace_sdk.core.score import score_of
from llmtrace_sdk.core.sentences import plain, sentence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Iterable, Sequence

    from llmtrace_sdk.core.admission import Limited, Meaning
    from llmtrace_sdk.core.exchange import Exchange
    from llmtrace_sdk.core.model import Decision, Finding

    Fields = list[tuple[bytes, bytes]]

PROXY_ERROR: Final = "proxy_error"
BLOCKED: Final = "security_enforcement_blocked"
FINDINGS_SHOWN: Final = 20
_TYPES: Final = {"concurrency_limit_exceeded": "rate_limit_exceeded", "state_unavailable": "rate_limit_exceeded"}
_BY_AN_ACTION: Final = "IP blocked by enforcement action"


class Reply(msgspec.Struct, frozen=True):
    """An answer of the relay's own."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def failed(status: int, message: str, kind: str = PROXY_ERROR, **more: Any) -> Reply:
    """An error that is nobody's decision: a request that is too large, an upstream that is away."""
    return Reply(status, msgspec.json.encode({"error": {"message": message, "type": kind, **more}}))


async def say(send: Callable[[Any], Awaitable[None]], reply: Reply, fields: Fields | None = None) -> None:
    """Give an answer of the relay's own, with more header fields."""
    own = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(reply.body))]
    headers = [*own, *reply.headers, *(fields or ())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})


async def deny(send: Callable[[Any], Awaitable[None]], reply: Reply, fields: Fields | None = None) -> None:
    """Give such an answer to who asked for a WebSocket."""
    headers = [(b"content-type", b"application/json"), *reply.headers, *(fields or ())]
    await pass_refusal(send, reply.status, reply.body, headers)


async def pass_refusal(send: Callable[[Any], Awaitable[None]], status: int, body: bytes, fields: Fields) -> None:
    """Give somebody's answer to who asked for a WebSocket. The server adds its length."""
    await send({"type": "websocket.http.response.start", "status": status, "headers": fields})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})


def refused(exchange: Exchange) -> Reply:
    """A call that the policy or a limit refused."""
    limit = exchange.reservation.limited if exchange.reservation is not None else None
    decision = exchange.decision
    if limit is not None and decision.reason == limit.code:
        return limited(decision, limit, exchange.labels.tenant)
    return blocked(decision)


def blocked(decision: Decision) -> Reply:
    """A call that the policy refused (spec of the proxy, section 6.3)."""
    reason = "; ".join(f"{finding.type}: {sentence(finding.type)}" for finding in decision.findings[:FINDINGS_SHOWN])
    body = {
        "message": f"Request blocked by security enforcement: {reason or decision.reason}",
        "type": BLOCKED,
        "code": "llmtrace_blocked",
        "findings": shown(decision.findings),
    }
    return Reply(403, msgspec.json.encode({"error": body}), _blocked_fields(decision))


def limited(decision: Decision, limit: Limited, tenant: str | None) -> Reply:
    """A call over a limit (sections 8 and 10), or from a source that is blocked (section 7)."""
    if limit.code == "blocked_source":
        body: dict[str, Any] = {
            "message": f"Request blocked by security enforcement: {_BY_AN_ACTION}",
            "type": BLOCKED,
            "code": "llmtrace_blocked",
            "findings": [],
        }
        return Reply(403, msgspec.json.encode({"error": body}), _blocked_fields(decision))
    body = {"message": limit.message, "type": _TYPES.get(limit.code, limit.code)}
    if limit.code != "cost_cap_exceeded":
        body["tenant_id"] = tenant
    if limit.code == "rate_limit_exceeded":
        body["limit_requests_per_second"] = limit.limit
    fields = list(_blocked_fields(decision))
    if limit.retry_after_s:
        body["retry_after_secs"] = limit.retry_after_s
        fields.append((b"retry-after", b"%d" % limit.retry_after_s))
    if limit.code == "rate_limit_exceeded" and limit.limit is not None:
        fields += [(b"x-ratelimit-limit", f"{limit.limit:g}".encode()), (b"x-ratelimit-remaining", b"0")]
    return Reply(429, msgspec.json.encode({"error": body}), tuple(fields))


def told(
    decision: Decision | None, findings: Sequence[Finding], trace_id: str, *, enforcing: bool
) -> list[tuple[bytes, bytes]]:
    """The fields on every answer (section 6.4), as far as is known when its head is sent."""
    fields = [
        (b"x-llmtrace-trace-id", trace_id.encode("ascii", "replace")),
        (b"x-llmtrace-action", b"block" if decision is not None and decision.blocked else b"allow"),
        (b"x-llmtrace-policy-mode", b"enforce" if enforcing else b"log"),
    ]
    score = score_of(findings)
    if score is not None:
        fields.append((b"x-llmtrace-score", b"%d" % score))
        fields.append((b"x-llmtrace-findings", ",".join(_brief(findings)).encode()))
    if decision is not None and decision.flagged:
        fields.append((b"x-llmtrace-flagged", b"true"))
    return fields


def remaining(left: Iterable[tuple[Meaning, int]], answered: Container[bytes]) -> Fields:
    """What is left of the caller's limits, on answers that went through; `answered` names the upstream's own fields."""
    fields: Fields = []
    for meaning, amount in left:
        if meaning.kind == "rate" and meaning.limit is not None and b"x-ratelimit-limit" not in answered:
            fields.append((b"x-ratelimit-limit", f"{meaning.limit:g}".encode()))
            fields.append((b"x-ratelimit-remaining", b"%d" % amount))
        elif meaning.kind == "budget":
            name = f"x-llmtrace-budget-{meaning.scope}-{meaning.window}-{meaning.unit}"
            shown = f"{amount / MICRO:.6f}" if meaning.unit == "usd" else str(amount)
            fields.append((name.encode(), shown.encode()))
    return fields


def shown(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as error bodies tell them."""
    return [
        {
            "type": plain(finding.type),
            "severity": finding.severity.label.capitalize(),
            "confidence": round(finding.confidence, 4),
            "description": sentence(finding.type),
        }
        for finding in findings[:FINDINGS_SHOWN]
    ]


def _brief(findings: Sequence[Finding]) -> list[str]:
    """The types with their highest confidences, in order."""
    best: dict[str, float] = {}
    for finding in findings:
        name = plain(finding.type)
        best[name] = max(best.get(name, 0.0), finding.confidence)
    return [f"{name}:{confidence:.2f}" for name, confidence in list(best.items())[:FINDINGS_SHOWN]]


def _blocked_fields(decision: Decision) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"x-should-retry", b"false"), (b"x-llmtrace-blocked", decision.id.encode()))
