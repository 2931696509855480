"""Findings -> decision. Pure and total: the same findings under the same options always give the same decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple

from llmtrace_sdk.core.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_sdk.core.model import ActionName, Finding

Mode = Literal["log", "flag", "block"]
SeverityName = Literal["info", "low", "medium", "high", "critical"]

STRENGTH: Final[dict[ActionName, int]] = {"allow": 0, "log": 1, "flag": 2, "redact": 3, "block": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRule:
    """What to do about one finding type. Thresholds that are not given are those of the whole policy."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    finding_type: str
    action: Mode
    min_severity: SeverityName | None = None
    min_confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnforcementOptions:
    """The policy. `mode` applies to every finding at or over both thresholds; `categories` override it per type (the
    first rule of a type wins).

    `on_block`: give the SDK a refusal in the vendor's error shape (`response`), or raise `Blocked` (`raise`).
    `block_status`: HTTP status of the refusal. `fail_mode`: what happens to a call when our own code fails: it goes
    through uninspected (`open`) or is refused (`closed`).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    mode: Mode = "log"
    min_severity: SeverityName = "high"
    min_confidence: float = 0.8
    categories: tuple[CategoryRule, ...] = ()
    on_block: Literal["response", "raise"] = "response"
    block_status: Literal[400, 403] = 400
    fail_mode: Literal["open", "closed"] = "open"

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        given = (self.min_confidence, *(rule.min_confidence for rule in self.categories))
        wrong = [value for value in given if value is not None and not 0 <= value <= 1]
        return [f"enforcement: min_confidence {value} is not between 0 and 1" for value in wrong]


class Threshold(NamedTuple):
    """The effective rule for one finding type."""

    action: ActionName
    severity: Severity
    confidence: float


class Verdict(NamedTuple):
    """What the policy asks for, why, and which findings caused it."""

    action: ActionName
    reason: str
    findings: tuple[Finding, ...]


class Policy:
    """The options, prepared for quick look-up.

    `may_stop` tells whether anything at all, a finding or a fault of ours, could stop a call.
    """

    __slots__ = ("_by_type", "_default", "may_stop", "options")

    def __init__(self, options: EnforcementOptions) -> None:
        self.options = options
        severity = Severity.parse(options.min_severity)
        self._default = Threshold(options.mode, severity, options.min_confidence)
        self._by_type: dict[str, Threshold] = {}
        for rule in options.categories:
            self._by_type.setdefault(
                rule.finding_type,
                Threshold(
                    rule.action,
                    Severity.parse(rule.min_severity) if rule.min_severity else severity,
                    options.min_confidence if rule.min_confidence is None else rule.min_confidence,
                ),
            )
        rules = (self._default, *self._by_type.values())
        self.may_stop = options.fail_mode == "closed" or any(rule.action == "block" for rule in rules)

    def decide(self, findings: Iterable[Finding]) -> Verdict:
        """The strongest action that any finding asks for; `log` when there are findings but none over its threshold."""
        strongest: ActionName = "allow"
        causes: list[Finding] = []
        for finding in findings:
            action = self._action(finding)
            if STRENGTH[action] > STRENGTH[strongest]:
                strongest, causes = action, [finding]
            elif action == strongest:
                causes.append(finding)
        if not causes:
            return Verdict("allow", "", ())
        worst = max(causes, key=lambda f: (f.severity, f.confidence))
        return Verdict(strongest, f"{worst.type}.{worst.severity.label}", tuple(causes))

    def _action(self, finding: Finding) -> ActionName:
        rule = self._by_type.get(finding.type, self._default)
        over = finding.severity >= rule.severity and finding.confidence >= rule.confidence
        return rule.action if over else "log"
