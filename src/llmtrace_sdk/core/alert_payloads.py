"""The bodies of alerts, one form for each type of channel. None quotes anything of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core.action_payloads import FINDINGS_LIMIT, name
from llmtrace_sdk.core.model import Severity
from llmtrace_sdk.core.sentences import plain, sentence

if TYPE_CHECKING:
    from llmtrace_sdk.core.alerting import Channel, Occasion
    from llmtrace_sdk.core.model import CallRecord

SLACK_FINDINGS: Final = 10
SUMMARY_LIMIT: Final = 1_000
_PAGERDUTY: Final = {
    Severity.CRITICAL: "critical",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "info",
    Severity.INFO: "info",
}
_TITLES: Final = {
    "security_finding": "security finding",
    "call_blocked": "call refused",
    "limit_exceeded": "limit exceeded",
    "budget_warning": "budget nearly spent",
}


def payload(channel: Channel, occasion: Occasion, record: CallRecord, at: str) -> dict[str, Any]:
    """The body for a channel. `at` is the time of the call in RFC 3339. Contains the routing key of PagerDuty."""
    if channel.type == "slack":
        return _slack(occasion, record, at)
    if channel.type == "pagerduty":
        return _pagerduty(channel, occasion, record, at)
    return _webhook(occasion, record, at)


def _webhook(occasion: Occasion, record: CallRecord, at: str) -> dict[str, Any]:
    return {
        "alert_type": occasion.kind,
        "trace_id": record.id,
        "tenant_id": name(record.labels.tenant),
        "timestamp": at,
        "severity": occasion.severity.label.capitalize(),
        "reason": plain(occasion.reason),
        "types": _types(occasion),
        "findings": _findings(occasion),
    }


def _slack(occasion: Occasion, record: CallRecord, at: str) -> dict[str, Any]:
    title = _summary(occasion)
    shown = occasion.findings[:SLACK_FINDINGS]
    lines = [f"• *{f.severity.label}* {plain(f.type)} ({f.confidence:.0%}): {sentence(f.type)}" for f in shown]
    if len(occasion.findings) > len(shown):
        lines.append(f"… and {len(occasion.findings) - len(shown)} more")
    if not lines:
        lines = [f"• {each}" for each in _types(occasion)]
    tenant = _escaped(name(record.labels.tenant) or "none")
    return {
        "text": title,
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title[:150]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines)[:3_000]}},
            {
                "type": "context",
                "elements": [{"type": "mrkdwn", "text": f"trace {record.id} | tenant {tenant} | {at}"}],
            },
        ],
    }


def _pagerduty(channel: Channel, occasion: Occasion, record: CallRecord, at: str) -> dict[str, Any]:
    return {
        "routing_key": channel.routing_key,
        "event_action": "trigger",
        "dedup_key": f"llmtrace-{record.id}{'-budget' if occasion.kind == 'budget_warning' else ''}",
        "payload": {
            "summary": _summary(occasion),
            "severity": _PAGERDUTY[occasion.severity],
            "source": "llmtrace-proxy",
            "component": "security-analysis",
            "group": name(record.labels.tenant),
            "timestamp": at,
            "custom_details": {
                "alert_type": occasion.kind,
                "reason": plain(occasion.reason),
                "types": _types(occasion),
                "findings": _findings(occasion),
            },
        },
    }


def _summary(occasion: Occasion) -> str:
    types = ", ".join(_types(occasion))
    return f"LLMTrace: {_TITLES[occasion.kind]} ({occasion.severity.label}): {types}"[:SUMMARY_LIMIT]


def _types(occasion: Occasion) -> list[str]:
    return [plain(each) for each in occasion.types[:FINDINGS_LIMIT]]


def _findings(occasion: Occasion) -> list[dict[str, Any]]:
    return [
        {
            "severity": finding.severity.label.capitalize(),
            "finding_type": plain(finding.type),
            "description": sentence(finding.type),
            "confidence_score": finding.confidence,
        }
        for finding in occasion.findings[:FINDINGS_LIMIT]
    ]


def _escaped(text: str | None) -> str:
    """A text in Slack's markup: its three special characters; line ends would start a line of somebody else's."""
    plain_text = " ".join((text or "").split())
    return plain_text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
