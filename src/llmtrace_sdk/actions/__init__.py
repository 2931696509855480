"""The actions: one file each, side effects after a decision. File name, registered name and configured name are one.

A third party registers its own as an entry point of the group `llmtrace.actions`, whose object makes the action from
`Parts`.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

from llmtrace_sdk.actions.sources import wrong_networks
from llmtrace_sdk.core.alerting import AlertOptions
from llmtrace_sdk.core.routing import BLOCK, BlockKeys, RouterOptions, resolve
from llmtrace_sdk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from llmtrace_sdk.actions._block import Block
    from llmtrace_sdk.core.claims import Offence, Standing
    from llmtrace_sdk.core.model import ActionStatus, CallRecord
    from llmtrace_sdk.core.routing import BlockKind

GROUP: Final = "llmtrace.actions"
ALERT: Final = "alert"
_NO_ACTIONS: Final = frozenset({"dispatch", "sources"})
_NEED_HTTP: Final = frozenset({"webhook", ALERT})


class Action(Protocol):
    """A side effect after a decision.

    It may wait: it runs on a thread of its own, one call at a time. One with an attribute `quick` that is true runs
    before all others, and must not wait for anybody outside; one with an attribute `enforces` that is true is not run
    in shadow mode.
    """

    @property
    def name(self) -> str:
        """As rules name it."""

    def run(self, record: CallRecord, source: str | None, /) -> ActionStatus:
        """Do it. `source` is the address of the client, None for a call of this process."""


class Cooldowns(Protocol):
    """What alerts need of the state."""

    def block(self, key: str, ttl_s: float, /) -> None:
        """Put a block in force for so many seconds."""

    def blocked(self, keys: Sequence[str], /) -> Collection[str]:
        """Those of the keys whose blocks are in force."""


class State(Cooldowns, Protocol):
    """What actions need of the state that processes share."""

    def offend(self, offence: Offence, /) -> Standing:
        """Count an offence, and block its source at the last that is allowed; at once and for all processes."""


def _no_secret(_name: str) -> str | None:
    return None


def _no_warnings(_record: CallRecord) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What actions are made of.

    `secret` reads an environment variable. `block_secret` is what fingerprints of blocked sources are keyed with, the
    same in all processes that share `state`. `content`: whether the texts of a call may leave the process. `warnings`
    gives the codes of budgets that are nearly spent after a call. Without `state` nobody is blocked, and each process
    remembers by itself what people were told.
    """

    router: RouterOptions = RouterOptions()
    alerts: AlertOptions = AlertOptions()
    secret: Callable[[str], str | None] = _no_secret
    state: State | None = None
    block_secret: bytes = b""
    content: bool = False
    warnings: Callable[[CallRecord], tuple[str, ...]] = _no_warnings

    @property
    def keys(self) -> BlockKeys:
        """The keys of blocks; whoever admits calls needs the same."""
        return BlockKeys(self.block_secret)


def available() -> tuple[str, ...]:
    """The names that rules may use, in order: all actions, and `block`, which the decision itself carries out."""
    return tuple(sorted({BLOCK, *_ours(), *(point.name for point in entry_points(group=GROUP))}))


def problems(parts: Parts) -> list[str]:
    """What is wrong with the names, networks, variables and packages of what is switched on, one sentence each."""
    router = parts.router
    found = []
    if router.enabled:
        found += [*_wrong_names(router), *_wrong_places(router), *_wrong_secret(parts)]
        if ALERT in router.names and not parts.alerts.enabled:
            found.append("action_router: the action alert has nobody to tell; set alerts.enabled")
    if not _NEED_HTTP.isdisjoint(_wanted(parts)) and not any(map(find_spec, ("httpx", "httpx2"))):
        found.append("action_router: neither httpx nor httpx2 is installed; pip install httpx")
    return found


def build(parts: Parts) -> dict[str, Action]:
    """Make the actions that are named in rules, and `alert` where alerts are switched on.

    Raises `ConfigError` with all that is wrong.
    """
    wrong = problems(parts)
    if wrong:
        raise ConfigError(wrong)
    makers = _makers()
    built: dict[str, Action] = {}
    for name in _wanted(parts):
        try:
            built[name] = makers[name]()(parts)
        except TypeError as error:
            wrong.append(f"action {name}: {error}")
    if wrong:
        raise ConfigError(wrong)
    return built


def blocking(parts: Parts) -> list[Block]:
    """Those of the named actions that block somebody, for whoever has to ask whether somebody is blocked."""
    from llmtrace_sdk.actions._block import builder

    kinds: tuple[BlockKind, ...] = ("ip", "session", "agent")
    return [builder(kind)(parts) for kind in kinds if f"block_{kind}" in parts.router.names]


def following(record: CallRecord, router: RouterOptions, actions: Mapping[str, Action]) -> tuple[str, ...]:
    """The names of what follows a finished call: the actions of its findings, and `alert` where people want to know."""
    names = resolve(router, record.findings, record.decision.action)
    alert: Any = actions.get(ALERT)
    if alert is None or ALERT in names or not alert.concerns(record):
        return names
    return (*names, ALERT)


def _wanted(parts: Parts) -> tuple[str, ...]:
    named = [name for name in parts.router.names if name != BLOCK] if parts.router.enabled else []
    return tuple(dict.fromkeys([*named, ALERT] if parts.alerts.enabled else named))


def _wrong_names(router: RouterOptions) -> list[str]:
    known = available()
    places = {"action_router.default_actions": router.default_actions}
    places |= {f"action_router.rules[{number}].actions": rule.actions for number, rule in enumerate(router.rules)}
    return [
        f"{place}: unknown action {name!r} (known: {', '.join(known)})"
        for place, names in places.items()
        for name in names
        if name not in known
    ]


def _wrong_places(router: RouterOptions) -> list[str]:
    return [
        f"action_router.{key}: {name!r} is no network such as 10.0.0.0/8 or 2001:db8::/32"
        for key in ("trusted_proxies", "exempt_networks")
        for name in wrong_networks(getattr(router, key))
    ]


def _wrong_secret(parts: Parts) -> list[str]:
    variable = parts.router.webhook.secret_env
    if variable is None or "webhook" not in parts.router.names or parts.secret(variable):
        return []
    return [f"action_router.webhook.secret_env: the environment variable {variable} is not set"]


def _ours() -> set[str]:
    names = {module.name for module in pkgutil.iter_modules(__path__)}
    return {name for name in names if not name.startswith("_") and name not in _NO_ACTIONS}


def _makers() -> dict[str, Callable[[], Callable[[Parts], Any]]]:
    """By name, how to load the function that makes the action: nothing is imported that is not used."""
    makers = {name: _our_maker(name) for name in sorted(_ours())}
    for point in entry_points(group=GROUP):
        if point.name in makers or point.name == BLOCK:
            raise ConfigError([f"action {point.name!r} is registered twice, once more by {point.value}"])
        makers[point.name] = point.load
    return makers


def _our_maker(name: str) -> Callable[[], Callable[[Parts], Action]]:
    def load() -> Callable[[Parts], Action]:
        build: Callable[[Parts], Action] = import_module(f"{__name__}.{name}").build
        return build

    return load
