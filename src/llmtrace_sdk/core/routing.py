"""Findings -> the actions that follow them, what can be set about it, and the keys under which sources are blocked.

An action is a side effect after the decision. `block` alone is none: it asks for a refusal of the call itself, which
only the one who decides can give.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from llmtrace_sdk.core.admission import NO_TENANT
from llmtrace_sdk.core.claims import Offence
from llmtrace_sdk.core.enforcement import EnforcementOptions, SeverityName  # noqa: TC001 - pydantic reads it
from llmtrace_sdk.core.fingerprint import Names
from llmtrace_sdk.core.model import Severity
from llmtrace_sdk.core.policy import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from llmtrace_sdk.core.model import ActionName, Finding, Labels

BLOCK: Final = "block"
JUDGE_ROUTE: Final = "judge_route"
LONGEST_TTL_S: Final = 30 * 86_400
LONGEST_MS: Final = 60_000
MOST_ATTEMPTS: Final = 10
HTTP: Final = ("http://", "https://")

BlockKind = Literal["ip", "session", "agent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRule:
    """Actions for the findings of one type, or of all types, at or over both thresholds.

    `finding_type`: the type; any if not given. `min_severity`: the severity from which it applies. `min_confidence`:
    the confidence (0..1) from which it applies. `actions`: what follows.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    finding_type: str | None = None
    min_severity: SeverityName = "high"
    min_confidence: float = 0.8
    actions: tuple[str, ...] = ()

    def holds(self, finding: Finding) -> bool:
        """Whether a finding is one that the rule is for."""
        return (
            (self.finding_type is None or finding.type == self.finding_type)
            and finding.confidence >= self.min_confidence
            and finding.severity >= Severity.parse(self.min_severity)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLimits:
    """How often a source may offend, and for how long it is blocked then.

    `ttl_seconds`: how long offences are remembered, and how long a block lasts. `max_offenses`: the offence, one for
    each call with such findings, from which the source is blocked.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    ttl_seconds: int = 3600
    max_offenses: int = 3

    def problems(self, place: str) -> Iterator[str]:
        """Values that cannot be used, one sentence each."""
        yield from _outside(f"{place}.ttl_seconds", self.ttl_seconds, 1, LONGEST_TTL_S)
        yield from _outside(f"{place}.max_offenses", self.max_offenses, 1, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOptions:
    """Where findings are told of.

    `url`: takes a JSON POST for each call. `timeout_ms`: milliseconds that one attempt may take. `max_attempts`: how
    often it is tried in all. `secret_env`: the environment variable with the key that requests are signed with (HMAC
    of SHA-256, header `x-llmtrace-signature`); unsigned if not given.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    url: str = ""
    timeout_ms: int = 5000
    max_attempts: int = 3
    secret_env: str | None = None

    def problems(self, place: str) -> Iterator[str]:
        """Values that cannot be used, one sentence each."""
        if self.url and not self.url.startswith(HTTP):
            yield f"{place}.url: it must begin with http:// or https://"
        yield from _outside(f"{place}.timeout_ms", self.timeout_ms, 1, LONGEST_MS)
        yield from _outside(f"{place}.max_attempts", self.max_attempts, 1, MOST_ATTEMPTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRouteOptions:
    """When the judge is asked about a call that is handed over to it.

    `inline_await`: before the request is sent, where the policy could stop it; else after the call, within
    `judge.deadline_ms`. `inline_timeout_ms`: milliseconds that a call may wait for it then.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    inline_await: bool = False
    inline_timeout_ms: int = 10_000

    def problems(self, place: str) -> Iterator[str]:
        """Values that cannot be used, one sentence each."""
        yield from _outside(f"{place}.inline_timeout_ms", self.inline_timeout_ms, 1, LONGEST_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterOptions:
    """What follows findings, beside the decision about the call.

    `enabled`: whether anything does. `default_actions`: for every call with findings. `rules`: more actions for some
    findings; all rules that hold apply. `trusted_proxies`: networks whose word about the address of a client is taken.
    `exempt_networks`: networks of which no address is ever blocked.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enabled: bool = False
    default_actions: tuple[str, ...] = ("log",)
    rules: tuple[ActionRule, ...] = ()
    ip_block: BlockLimits = BlockLimits()
    session_block: BlockLimits = BlockLimits()
    agent_block: BlockLimits = BlockLimits()
    webhook: WebhookOptions = WebhookOptions()
    judge_route: JudgeRouteOptions = JudgeRouteOptions()
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1")
    exempt_networks: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every action that is named anywhere, `block` included, each once, in the order of definition."""
        ruled = (name for rule in self.rules for name in rule.actions)
        return tuple(dict.fromkeys((*self.default_actions, *ruled)))

    @property
    def blocks(self) -> bool:
        """Whether findings may lead to a refusal of the call itself."""
        return self.enabled and BLOCK in self.names

    @property
    def asks(self) -> bool:
        """Whether findings may lead to a question to the judge."""
        return self.enabled and JUDGE_ROUTE in self.names

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each. Names of actions are checked where the actions are known."""
        if not self.enabled:
            return []
        place = "action_router"
        found = [problem for number, rule in enumerate(self.rules) for problem in _wrong_rule(number, rule)]
        for kind in ("ip", "session", "agent"):
            limits: BlockLimits = getattr(self, f"{kind}_block")
            found += limits.problems(f"{place}.{kind}_block")
        found += self.webhook.problems(f"{place}.webhook")
        found += self.judge_route.problems(f"{place}.judge_route")
        if "webhook" in self.names and not self.webhook.url:
            found.append(f"{place}.webhook.url: the action webhook needs a URL")
        return found


def resolve(options: RouterOptions, findings: Sequence[Finding], policy_action: ActionName) -> tuple[str, ...]:
    """The actions for a call: `block` first, then the default ones, then those of the rules, each once.

    `policy_action` is what the policy makes of the findings: `allow` means that they cause nothing, so there are no
    actions either; where it blocks already, `block` is left out.
    """
    if not options.enabled or not findings or policy_action == "allow":
        return ()
    wanted = dict.fromkeys(options.default_actions)
    for rule in options.rules:
        if any(map(rule.holds, findings)):
            wanted.update(dict.fromkeys(rule.actions))
    asked = BLOCK in wanted
    wanted.pop(BLOCK, None)
    return (BLOCK, *wanted) if asked and policy_action != BLOCK else tuple(wanted)


def escalated(
    options: RouterOptions | None, findings: Sequence[Finding], policy_action: ActionName, policy: EnforcementOptions
) -> Verdict | None:
    """The verdict that the action `block` asks for, where a rule names it and the policy does not block already."""
    if options is None or BLOCK not in resolve(options, findings, policy_action):
        return None
    shadow = policy.shadow
    worst = max(findings, key=lambda finding: (finding.severity, finding.confidence))
    reason = f"{worst.type}.{worst.severity.label}"
    return Verdict("log" if shadow else "block", reason, tuple(findings), "block" if shadow else "allow")


def for_action(options: RouterOptions, name: str, findings: Iterable[Finding]) -> list[Finding]:
    """All findings, first those that a rule with this action is for: what is told first is why it is told."""
    rules = [rule for rule in options.rules if name in rule.actions]
    return sorted(findings, key=lambda finding: not any(rule.holds(finding) for rule in rules))


class BlockKeys:
    """Names blocks and offences by fingerprints, so that no address, session or agent stands in a store in clear.

    `secret` must be the same in all processes that share a store. It matters: whoever has a fingerprint and the secret
    can try all IPv4 addresses in minutes. Without one (`b""`) the fingerprints only keep addresses out of sight.
    A block is for one tenant: of two that come through one address, only the one that offended is blocked.
    """

    __slots__ = ("_key", "_names")

    def __init__(self, secret: bytes) -> None:
        self._names = Names(secret)
        self._key = hmac.digest(b"llmtrace block keys 1", secret, "sha256")

    def block(self, kind: BlockKind, subject: str, tenant: str | None) -> str:
        """The key of a block, for `Claims.blocks`: it begins with the tag of the tenant's other keys."""
        return f"{self._tag(tenant)}:blocked_{kind}:{self._fingerprint(kind, subject, tenant)}"

    def offence(self, kind: BlockKind, subject: str, tenant: str | None, limits: BlockLimits) -> Offence:
        """One more offence of a source."""
        return Offence(
            source=f"{self._tag(tenant)}:offenses_{kind}:{self._fingerprint(kind, subject, tenant)}",
            block=self.block(kind, subject, tenant),
            limit=limits.max_offenses,
            ttl_s=float(limits.ttl_seconds),
        )

    def cooldown(self, tenant: str | None, told: str) -> str:
        """The key under which an alert cools down."""
        return f"{self._tag(tenant)}:cooldown:{self._fingerprint('cooldown', told, tenant)}"

    def _tag(self, tenant: str | None) -> str:
        return self._names.tag(tenant or NO_TENANT)

    def _fingerprint(self, kind: str, subject: str, tenant: str | None) -> str:
        named = f"{kind}\0{tenant or NO_TENANT}\0{subject}"
        return hmac.digest(self._key, named.encode("utf-8", "surrogatepass"), "sha256")[:16].hex()


def label_of(kind: BlockKind, labels: Labels) -> str | None:
    """What the application called the session or agent of a call; None for no name, and for addresses."""
    name = {"session": labels.session, "agent": labels.agent}.get(kind)
    return name or None


def _outside(name: str, value: object, low: int, high: int) -> Iterator[str]:
    if not isinstance(value, int) or not low <= value <= high:
        yield f"{name}: {value} is not between {low} and {high}"


def _wrong_rule(number: int, rule: ActionRule) -> Iterator[str]:
    place = f"action_router.rules[{number}]"
    if not rule.actions:
        yield f"{place}.actions: the rule does nothing; name an action"
    if rule.finding_type == "":
        yield f"{place}.finding_type: '' is no name; leave it out for any type"
    if not isinstance(rule.min_confidence, int | float) or not 0 <= rule.min_confidence <= 1:
        yield f"{place}.min_confidence: {rule.min_confidence} is not between 0 and 1"
    try:
        Severity.parse(rule.min_severity)
    except (ValueError, AttributeError):
        yield f"{place}.min_severity: {rule.min_severity!r} is not one of {', '.join(s.label for s in Severity)}"
