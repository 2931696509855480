"""Findings -> decision. Pure and total: the same findings under the same options always give the same decision.

Shadow mode weakens what would be done to `log` and says beside it what was kept from being done.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import compress
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from llmtrace_sdk.core import wildcards
from llmtrace_sdk.core.enforcement import CategoryRule, EnforcementOptions, Match, Override
from llmtrace_sdk.core.model import Channel, Severity

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.model import ActionName, Finding, Phase

__all__ = [
    "STRENGTH",
    "CategoryRule",
    "EnforcementOptions",
    "Match",
    "Override",
    "Policy",
    "Verdict",
]

STRENGTH: Final[dict[ActionName, int]] = {"allow": 0, "log": 1, "flag": 2, "redact": 3, "block": 4}
POLICIES_KEPT: Final = 256
LONGEST_FACT: Final = 512
"""Characters; what is longer is matched each time anew instead of being kept."""

_FACTS: Final = ("tenant", "agent", "model", "user", "provider")
_PHASES: Final[dict[str, Phase]] = {"request": "input", "response": "output"}
# Coverage codes that do not mean that something could not be read: there was nothing to read, nobody was to read it,
# it was read all the same, or it is a fault, which is the business of the fail mode.
_READ: Final = frozenset({"no_text", "empty_body", "out_of_scope", "unknown_endpoint", "unknown_role"})
_FAULTS: Final = ("_failed", "_fault")
_TIERS: Final = ("ml_", "judge_")


class Verdict(NamedTuple):
    """What is to be enforced, why, and which findings caused it.

    `shadowed` is the strongest action that only shadow mode kept from being enforced, and `allow` if none of them is
    stronger than `action`. Where nothing is to be enforced, the reason and the findings are those of `shadowed`.
    """

    action: ActionName
    reason: str
    findings: tuple[Finding, ...]
    shadowed: ActionName = "allow"


NOTHING: Final = Verdict("allow", "", ())


class _Rule(NamedTuple):
    """The effective rule for one finding type: `action` over both thresholds, else `under`."""

    action: ActionName
    under: ActionName
    severity: Severity
    confidence: float
    shadow: bool

    def asked(self, severity: Severity, confidence: float) -> ActionName:
        """What is asked for, shadow mode or not."""
        return self.action if severity >= self.severity and confidence >= self.confidence else self.under

    @property
    def stops(self) -> bool:
        """Whether it can stop or change a call."""
        return not self.shadow and STRENGTH[self.action] >= STRENGTH["redact"]


class _Table(NamedTuple):
    """The rules for the findings of one channel."""

    by_type: dict[str, _Rule]
    default: _Rule


class Policy:
    """The options, prepared for quick look-up. Immutable; `options` must be without `problems()`.

    `options` is what is in force when nothing is known about a call; `for_call` gives the policy of a call, with the
    options that are in force for it. `may_stop` tells whether anything at all, a finding, a fault of ours or something
    unread, could block a call or change it; `may_stop_output` tells the same of its answer.
    """

    __slots__ = ("_calls", "_closed", "_tables", "_whole", "may_stop", "may_stop_output", "options")

    def __init__(self, options: EnforcementOptions, in_force: Sequence[Override] | None = None) -> None:
        if in_force is None:
            self._calls = _Calls(options) if any(_is_for_some_calls(each) for each in options.overrides) else None
            in_force = [each for each in options.overrides if not _is_for_some_calls(each)]
        else:
            self._calls = None
        self.options = _overridden(options, (each for each in in_force if each.match.channel is None))
        self._whole = _table(self.options)
        self._tables = {
            channel: _table(_overridden(options, (each for each in in_force if _is_for_channel(each, channel))))
            for channel in (get_args(Channel) if any(each.match.channel for each in in_force) else ())
        }
        self._closed = _failing_closed(self.options)
        self.may_stop = self._may_stop()
        self.may_stop_output = self.may_stop and self.inspects("output")

    def for_call(
        self,
        *,
        tenant: str | None = None,
        agent: str | None = None,
        model: str | None = None,
        user: str | None = None,
        provider: str | None = None,
    ) -> Policy:
        """The policy of a call, with the overrides for it in force: this one when no override depends on the call."""
        return self if self._calls is None else self._calls.policy((tenant, agent, model, user, provider))

    def inspects(self, phase: Phase) -> bool:
        """Whether this half of the call is to be inspected."""
        scope = self.options.monitoring_scope
        return scope == "hybrid" or scope.startswith(phase)

    def action(self, type: str, severity: Severity, confidence: float, channel: Channel) -> ActionName:  # noqa: A002
        """What is enforced for such a finding; `log` when it is under a threshold or in shadow."""
        rule = self._rule(type, channel)
        asked = rule.asked(severity, confidence)
        return "log" if rule.shadow and STRENGTH[asked] > STRENGTH["log"] else asked

    def decide(self, findings: Iterable[Finding]) -> Verdict:
        """The strongest action that any finding asks for; `log` when there are findings but none over its threshold.

        Findings of a type that is allowed cause nothing.
        """
        action: ActionName = "allow"
        shadowed: ActionName = "allow"
        causes: list[Finding] = []
        hidden: list[Finding] = []
        for finding in findings:
            rule = self._rule(finding.type, finding.channel)
            asked = rule.asked(finding.severity, finding.confidence)
            if rule.shadow and STRENGTH[asked] > STRENGTH["log"]:
                shadowed, hidden = _strongest(shadowed, hidden, asked, finding)
                asked = "log"
            action, causes = _strongest(action, causes, asked, finding)
        if action == "allow":
            return NOTHING
        if STRENGTH[shadowed] <= STRENGTH[action]:
            shadowed = "allow"
        elif action == "log":
            causes = hidden
        worst = max(causes, key=_badness)
        return Verdict(action, f"{worst.type}.{worst.severity.label}", tuple(causes), shadowed)

    def on_failure(self, component: str) -> Verdict | None:
        """What follows from a fault of ours; None when the call goes on as if it had not been.

        `component` is a detector's or tier's name, whose category may have a fail mode of its own, or the name of any
        other part. A fault in reading the `request` or the `response` counts only where that half is to be inspected.
        """
        if component in _PHASES and not self.inspects(_PHASES[component]):
            return None
        closed, shadow = self._closed.get(component, self._closed[""])
        return _unfound("block", f"{component}_failed", shadow=shadow) if closed else None

    def on_unscanned(self, reasons: Sequence[str]) -> Verdict | None:
        """What follows from the reasons why a call was not inspected, or not all of it; None when nothing does.

        Only reasons that say that something could not be read count: not that there was no text, nor a fault, and
        binary parts (images, audio, files) only where what is unread is blocked.
        """
        asked = self.options.unscanned
        if asked == "allow" or not any(_is_unread(reason, asked) for reason in reasons):
            return None
        return _unfound(asked, "unscanned", shadow=self.options.shadow)

    def _rule(self, finding_type: str, channel: str) -> _Rule:
        by_type, default = self._tables.get(channel, self._whole)
        return by_type.get(finding_type, default)

    def _may_stop(self) -> bool:
        tables = self._tables.values() or (self._whole,)
        return (
            any(rule.stops for table in tables for rule in (table.default, *table.by_type.values()))
            or any(closed and not shadow for closed, shadow in self._closed.values())
            or (self.options.unscanned == "block" and not self.options.shadow)
        )


class _Calls:
    """The policies of the calls for which overrides are in force, the latest of them kept."""

    __slots__ = ("_known", "_made", "_named", "_options", "_patterns")

    def __init__(self, options: EnforcementOptions) -> None:
        self._options = options
        matches = [each.match for each in options.overrides]
        self._named = [any(getattr(match, fact) is not None for match in matches) for fact in _FACTS]
        self._patterns = [_patterns(match, list(compress(_FACTS, self._named))) for match in matches]
        self._known = lru_cache(POLICIES_KEPT)(self._find)
        self._made = lru_cache(POLICIES_KEPT)(self._make)

    def policy(self, facts: tuple[str | None, ...]) -> Policy:
        """The policy of a call with these facts about it, in the order of `_FACTS`."""
        # facts that no override asks for would only fill the cache
        key = tuple(compress(facts, self._named))
        for fact in key:
            if fact is not None and not (isinstance(fact, str) and len(fact) <= LONGEST_FACT):
                return self._find(tuple(None if fact is None else str(fact) for fact in key))
        return self._known(key)

    def _find(self, facts: tuple[str | None, ...]) -> Policy:
        return self._made(tuple(at for at, patterns in enumerate(self._patterns) if _all_match(patterns, facts)))

    def _make(self, in_force: tuple[int, ...]) -> Policy:
        return Policy(self._options, [self._options.overrides[at] for at in in_force])


def _patterns(match: Match, facts: Sequence[str]) -> list[tuple[int, re.Pattern[str]]]:
    """The patterns for facts about a call, with the place of each fact."""
    given = ((at, getattr(match, fact)) for at, fact in enumerate(facts))
    return [(at, wildcards.compiled(pattern)) for at, pattern in given if pattern is not None]


def _all_match(patterns: Iterable[tuple[int, re.Pattern[str]]], facts: tuple[str | None, ...]) -> bool:
    return all((fact := facts[at]) is not None and pattern.fullmatch(fact) for at, pattern in patterns)


def _is_for_some_calls(override: Override) -> bool:
    return any(getattr(override.match, fact) is not None for fact in _FACTS)


def _is_for_channel(override: Override, channel: str) -> bool:
    pattern = override.match.channel
    return pattern is None or wildcards.compiled(pattern).fullmatch(channel) is not None


def _overridden(options: EnforcementOptions, overrides: Iterable[Override]) -> EnforcementOptions:
    for each in overrides:
        options = replace(options, categories=(*each.categories, *options.categories), **each.values())
    return options


def _table(options: EnforcementOptions) -> _Table:
    severity, confidence = Severity.parse(options.min_severity), options.min_confidence
    by_type: dict[str, _Rule] = {}
    for rule in options.categories:
        by_type.setdefault(
            rule.finding_type,
            _Rule(
                rule.action,
                "allow" if rule.action == "allow" else "log",
                Severity.parse(rule.min_severity) if rule.min_severity else severity,
                confidence if rule.min_confidence is None else rule.min_confidence,
                rule.shadow or options.shadow,
            ),
        )
    return _Table(by_type, _Rule(options.mode, "log", severity, confidence, options.shadow))


def _failing_closed(options: EnforcementOptions) -> dict[str, tuple[bool, bool]]:
    """By component, whether it fails closed, and whether only in shadow; the whole policy's under the empty name."""
    found: dict[str, tuple[bool, bool]] = {}
    for rule in options.categories:
        mode = rule.fail_mode or options.fail_mode
        found.setdefault(rule.finding_type, (mode == "closed", rule.shadow or options.shadow))
    return {**found, "": (options.fail_mode == "closed", options.shadow)}


def _strongest(
    so_far: ActionName, causes: list[Finding], asked: ActionName, finding: Finding
) -> tuple[ActionName, list[Finding]]:
    """The stronger of two actions, with its causes so far; findings that ask for the same are causes together."""
    if STRENGTH[asked] > STRENGTH[so_far]:
        return asked, [finding]
    if asked == so_far:
        causes.append(finding)
    return so_far, causes


def _badness(finding: Finding) -> tuple[Severity, float]:
    return finding.severity, finding.confidence


def _unfound(asked: ActionName, reason: str, *, shadow: bool) -> Verdict:
    """A verdict that no finding caused."""
    return Verdict("log", reason, (), asked) if shadow else Verdict(asked, reason, ())


def _is_unread(reason: str, asked: str) -> bool:
    if reason == "binary_part":
        return asked == "block"
    return not (reason in _READ or reason.endswith(_FAULTS) or reason.startswith(_TIERS))
