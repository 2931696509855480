"""What can be set about enforcement, and what is wrong with what was set. `core.policy` acts on it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, get_args

from llmtrace_sdk.core import wildcards
from llmtrace_sdk.core.model import ActionName, Channel

if TYPE_CHECKING:
    from collections.abc import Iterator

Mode = Literal["log", "flag", "redact", "block"]
SeverityName = Literal["info", "low", "medium", "high", "critical"]
FailMode = Literal["open", "closed"]
Unscanned = Literal["allow", "flag", "block"]
Scope = Literal["hybrid", "input_only", "output_only"]
Pseudonyms = Literal["call", "session", "off"]
OnBlock = Literal["response", "raise"]
BlockStatus = Literal[400, 403]


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRule:
    """What to do about one finding type. Thresholds that are not given are those of the whole policy.

    `action` `allow`: such findings are written down and cause nothing, whatever their severity. `shadow`: as that of
    the whole policy, for this type alone; it adds to it. Two keys are about what finds it, and `finding_type` is then
    the name of a detector (our own bear the name of what they find) or of a tier (`ml`, `judge`): `fail_mode` says what
    happens to a call when it fails; `budget_ms` how long a detector may take for one text, in milliseconds. A detector
    made of rules is matched together with the others and has no time of its own: a budget for it is an error.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    finding_type: str
    action: ActionName
    min_severity: SeverityName | None = None
    min_confidence: float | None = None
    shadow: bool = False
    fail_mode: FailMode | None = None
    budget_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which calls, or with `channel` which findings, an override is for. All patterns that are given must match.

    They are shell-style (`*`, `?`, `[a-z]`) and case-sensitive. A call that has no such label matches no pattern, not
    even `*`. `model` is the name in the request, `provider` the value of gen_ai.provider.name.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    tenant: str | None = None
    agent: str | None = None
    model: str | None = None
    channel: str | None = None
    user: str | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Other values for some calls, or for the findings of some channels.

    Later overrides win over earlier ones, key by key; `categories` come before those beneath them. With a channel only
    the keys about findings can be set (`OF_FINDINGS`).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    match: Match
    mode: Mode | None = None
    min_severity: SeverityName | None = None
    min_confidence: float | None = None
    categories: tuple[CategoryRule, ...] = ()
    shadow: bool | None = None
    unscanned: Unscanned | None = None
    monitoring_scope: Scope | None = None
    fail_mode: FailMode | None = None
    pseudonyms: Pseudonyms | None = None

    def values(self) -> dict[str, Any]:
        """What it sets, without `categories`."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("match", "categories")}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnforcementOptions:
    """The policy. `mode` applies to every finding at or over both thresholds; `categories` override it per type (the
    first rule of a type wins), and `overrides` change both for some tenants, agents, models, channels, ...

    `on_block`: give the SDK a refusal in the vendor's error shape (`response`), or raise `Blocked` (`raise`).
    `block_status`: HTTP status of the refusal. `fail_mode`: what happens to a call when our own code fails: it goes
    through uninspected (`open`) or is refused (`closed`). `shadow`: nothing is enforced, only said. `unscanned`: what
    to do about calls of which something could not be read. `monitoring_scope`: which half of a call is inspected.
    `timeout_ms`: how long one detector of somebody else's may take for one text. `pseudonyms`: how long the placeholder
    of what was redacted in a request stays the same, and so can be undone in the answer.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    mode: Mode = "log"
    min_severity: SeverityName = "high"
    min_confidence: float = 0.8
    categories: tuple[CategoryRule, ...] = ()
    on_block: OnBlock = "response"
    block_status: BlockStatus = 400
    fail_mode: FailMode = "open"
    shadow: bool = False
    unscanned: Unscanned = "allow"
    monitoring_scope: Scope = "hybrid"
    timeout_ms: int = 2000
    pseudonyms: Pseudonyms = "call"
    overrides: tuple[Override, ...] = ()

    @property
    def budgets(self) -> dict[str, int]:
        """Milliseconds for one text, by the name of the detector, where a category sets them."""
        first: dict[str, CategoryRule] = {}
        for rule in self.categories:
            first.setdefault(rule.finding_type, rule)
        return {name: rule.budget_ms for name, rule in first.items() if rule.budget_ms is not None}

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        found = [*_wrong_values("enforcement", self), *_wrong_categories("enforcement", self.categories)]
        for number, override in enumerate(self.overrides):
            found += _wrong_override(f"enforcement.overrides[{number}]", override)
        return found


OF_FINDINGS: Final = ("mode", "min_severity", "min_confidence", "categories", "shadow")
"""What an override of a channel may set."""

LONGEST_MS: Final = 600_000
_CHOICES: Final[dict[str, tuple[object, ...]]] = {
    "mode": get_args(Mode),
    "action": get_args(ActionName),
    "min_severity": get_args(SeverityName),
    "fail_mode": get_args(FailMode),
    "unscanned": get_args(Unscanned),
    "monitoring_scope": get_args(Scope),
    "pseudonyms": get_args(Pseudonyms),
    "on_block": get_args(OnBlock),
    "block_status": get_args(BlockStatus),
    "shadow": (True, False),
}
_RANGES: Final = {"min_confidence": (0, 1), "timeout_ms": (1, LONGEST_MS), "budget_ms": (1, LONGEST_MS)}
_NO_NAMES: Final = ("categories", "overrides", "match")


def _wrong_values(place: str, group: Any) -> Iterator[str]:
    """The plain values of one group that are none of those they can be."""
    for field in fields(group):
        name, value = field.name, getattr(group, field.name)
        if name in _NO_NAMES or (value is None and field.default is None):
            continue
        if name in _RANGES:
            low, high = _RANGES[name]
            if not isinstance(value, int | float) or not low <= value <= high:
                where = f"{place}: {name}" if place == "enforcement" else f"{place}.{name}:"
                yield f"{where} {value} is not between {low} and {high}"
        elif name not in _CHOICES:
            if not isinstance(value, str) or not value:
                yield f"{place}.{name}: {value!r} is no name; give a text of at least one character"
        elif value not in _CHOICES[name]:
            yield f"{place}.{name}: {value!r} is not one of {', '.join(map(str, _CHOICES[name]))}"


def _wrong_categories(place: str, rules: tuple[CategoryRule, ...]) -> Iterator[str]:
    for number, rule in enumerate(rules):
        yield from _wrong_values(f"{place}.categories[{number}]", rule)


def _wrong_override(place: str, override: Override) -> Iterator[str]:
    yield from _wrong_values(place, override)
    yield from _wrong_categories(place, override.categories)
    yield from _wrong_values(f"{place}.match", override.match)
    names = [field.name for field in fields(Match)]
    if all(getattr(override.match, name) is None for name in names):
        yield f"{place}.match: matches on nothing; give at least one of {', '.join(names)}"
    if not override.values() and not override.categories:
        yield f"{place}: changes nothing; give it a value to set, or leave it out"
    for number, rule in enumerate(override.categories):
        if rule.budget_ms is not None:
            yield f"{place}.categories[{number}].budget_ms: cannot differ by call; set it in enforcement.categories"
    if override.match.channel is not None:
        yield from _wrong_for_channel(place, override, override.match.channel)


def _wrong_for_channel(place: str, override: Override, pattern: str) -> Iterator[str]:
    channels = get_args(Channel)
    if not any(wildcards.compiled(str(pattern)).fullmatch(channel) for channel in channels):
        yield f"{place}.match.channel: {pattern!r} matches none of {', '.join(channels)}"
    set_here = [name for name in override.values() if name not in OF_FINDINGS]
    set_here += [
        f"categories[{n}].fail_mode" for n, rule in enumerate(override.categories) if rule.fail_mode is not None
    ]
    for name in set_here:
        yield f"{place}.{name}: an override of a channel cannot set it; leave out match.channel"
