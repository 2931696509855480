"""What people are alerted to, and what can be set about it: which calls, over which channels, how often."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from msgspec import Struct

from llmtrace_sdk.core.enforcement import SeverityName  # noqa: TC001 - pydantic reads it
from llmtrace_sdk.core.model import Finding, Severity
from llmtrace_sdk.core.routing import HTTP, LONGEST_TTL_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.model import CallRecord

ChannelType = Literal["webhook", "slack", "pagerduty", "email"]
OccasionKind = Literal["security_finding", "call_blocked", "limit_exceeded", "budget_warning"]
PAGERDUTY_URL: Final = "https://events.pagerduty.com/v2/enqueue"
MOST_CHANNELS: Final = 20
LIMIT_CODES: Final = frozenset({"rate_limit_exceeded", "concurrency_limit_exceeded", "cost_cap_exceeded"})
"""Reasons of decisions that a limit made (`core.admission.Limited`)."""

_SLACK: Final = re.compile(r"https?://(?:[^/?#@]*@)?hooks\.slack(?:-gov)?\.com(?=[:/?#]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One way to tell people.

    `type`: in which form. `url`: where to; for PagerDuty its Events API v2 if not given. `webhook_url`: another name
    of `url`. `routing_key`: the integration key of PagerDuty. `min_severity`: the severity from which it is told.
    `min_security_score`: the confidence in percent from which it is told.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    type: ChannelType
    url: str | None = None
    webhook_url: str | None = None
    routing_key: str | None = None
    min_severity: SeverityName = "high"
    min_security_score: int = 70

    @property
    def address(self) -> str:
        """Where it is told; '' when nobody says."""
        return self.url or self.webhook_url or (PAGERDUTY_URL if self.type == "pagerduty" else "")

    def takes(self, severity: Severity, confidence: float) -> bool:
        """Whether something of this severity and confidence is over both thresholds."""
        return severity >= Severity.parse(self.min_severity) and int(confidence * 100) >= self.min_security_score


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """What LLMTrace's proxy has a place for and never did; only `enabled: false` is taken."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enabled: bool = False
    escalate_after_seconds: int = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOptions:
    """Who is told of findings, refused calls and spent budgets.

    `enabled`: whether anybody is. `webhook_url`: the one channel, if there are no `channels`; a URL of Slack gets
    Slack's form. `min_severity` and `min_security_score`: the thresholds of that one channel. `cooldown_seconds`: how
    long a channel is not told again of the same for the same tenant, unless it is worse. `channels`: who is told.
    `escalation`: not offered; `enabled: true` is an error.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enabled: bool = False
    webhook_url: str = ""
    min_severity: SeverityName = "high"
    min_security_score: int = 70
    cooldown_seconds: int = 300
    channels: tuple[Channel, ...] = ()
    escalation: Escalation | None = None

    def effective(self) -> tuple[Channel, ...]:
        """The channels in force."""
        if self.channels or not self.webhook_url:
            return self.channels
        return (
            Channel(
                type="slack" if _SLACK.match(self.webhook_url) else "webhook",
                url=self.webhook_url,
                min_severity=self.min_severity,
                min_security_score=self.min_security_score,
            ),
        )

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        if not self.enabled:
            return []
        found = [problem for number, channel in enumerate(self.channels) for problem in _wrong_channel(number, channel)]
        found += _wrong_threshold("alerts", self.min_severity, self.min_security_score)
        if not 0 <= self.cooldown_seconds <= LONGEST_TTL_S:
            found.append(f"alerts.cooldown_seconds: {self.cooldown_seconds} is not between 0 and {LONGEST_TTL_S}")
        if not self.channels and not self.webhook_url.startswith(HTTP):
            found.append("alerts.webhook_url: give a URL that begins with http:// or https://, or channels")
        if len(self.channels) > MOST_CHANNELS:
            found.append(f"alerts.channels: {len(self.channels)} are more than {MOST_CHANNELS}")
        if self.escalation is not None and self.escalation.enabled:
            found.append("alerts.escalation: escalating is not offered; leave it to the service that is alerted")
        return found


class Occasion(Struct, frozen=True):
    """Something that people may be alerted to. `types` are finding types, or codes of limits."""

    kind: OccasionKind
    types: tuple[str, ...]
    severity: Severity
    findings: tuple[Finding, ...] = ()
    reason: str = ""


def occasions(record: CallRecord, warnings: tuple[str, ...] = ()) -> tuple[Occasion, ...]:
    """What there is to tell about a call, before any threshold. `warnings` are codes of budgets that are nearly spent.

    A refused call is told of as such, with its findings, and not once more for them. Findings that the policy allows
    cause nothing, here as elsewhere.
    """
    decision, found = record.decision, []
    limited = decision.reason in LIMIT_CODES
    if limited:
        found.append(Occasion("limit_exceeded", (decision.reason,), Severity.HIGH, (), decision.reason))
    if decision.blocked and not limited:
        found.append(Occasion("call_blocked", (), Severity.HIGH, record.findings, decision.reason))
    elif record.findings and decision.action != "allow":
        found.append(Occasion("security_finding", (), Severity.INFO, record.findings, decision.reason))
    if warnings:
        found.append(Occasion("budget_warning", warnings, Severity.HIGH))
    return tuple(found)


def for_channel(channel: Channel, occasion: Occasion) -> Occasion | None:
    """The occasion as far as a channel wants to know of it; None when it does not.

    Findings under its thresholds are left out. Refused calls and limits count as high and certain, so that a refusal
    that no finding caused is told of too.
    """
    findings = tuple(f for f in occasion.findings if channel.takes(f.severity, f.confidence))
    severity = max((f.severity for f in findings), default=Severity.INFO)
    if occasion.kind == "security_finding":
        if not findings:
            return None
        return Occasion(occasion.kind, _types(findings), severity, findings, occasion.reason)
    severity = max(severity, occasion.severity)
    if not channel.takes(severity, 1.0):
        return None
    types = occasion.types or _types(findings) or (occasion.reason,)
    return Occasion(occasion.kind, types, severity, findings, occasion.reason)


def cooldown_key(channel: str, occasion: Occasion, severity: Severity) -> str:
    """Names what a channel was told: the kind, the types and the severity."""
    parts = (channel, occasion.kind, severity.label, *sorted(occasion.types))
    return "".join(f"{len(part)}:{part}," for part in parts)


def silencing_keys(channel: str, occasion: Occasion) -> tuple[str, ...]:
    """The keys of which any silences an occasion: it has been told of as something as bad, or worse."""
    return tuple(cooldown_key(channel, occasion, severity) for severity in Severity if severity >= occasion.severity)


def channel_names(channels: tuple[Channel, ...]) -> tuple[str, ...]:
    """A short name for each channel: its type, numbered from the second of a type on."""
    names: list[str] = []
    for at, channel in enumerate(channels):
        before = sum(other.type == channel.type for other in channels[:at])
        names.append(f"{channel.type}{before + 1}" if before else channel.type)
    return tuple(names)


def _types(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    return tuple(sorted({finding.type for finding in findings}))


def _wrong_threshold(place: str, severity: str, score: int) -> Iterator[str]:
    if severity not in {each.label for each in Severity}:
        yield f"{place}.min_severity: {severity!r} is not one of {', '.join(each.label for each in Severity)}"
    if not 0 <= score <= 100:
        yield f"{place}.min_security_score: {score} is not between 0 and 100"


def _wrong_channel(number: int, channel: Channel) -> Iterator[str]:
    place = f"alerts.channels[{number}]"
    if channel.type == "email":
        yield f"{place}.type: email is not offered; use webhook, slack or pagerduty"
        return
    if channel.url and channel.webhook_url:
        yield f"{place}.webhook_url: is another name of url; give one of them"
    if not channel.address.startswith(HTTP):
        yield f"{place}.url: give a URL that begins with http:// or https://"
    if channel.type == "pagerduty" and not channel.routing_key:
        yield f"{place}.routing_key: PagerDuty needs the integration key"
    yield from _wrong_threshold(place, channel.min_severity, channel.min_security_score)
