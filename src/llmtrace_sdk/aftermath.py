"""What follows a finished call: actions and alerts, off every thread that anybody waits for."""

from __future__ import annotations

import os
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import structs

from llmtrace_sdk import actions, config
from llmtrace_sdk.actions._block import Block
from llmtrace_sdk.actions._statuses import dropped
from llmtrace_sdk.actions.dispatch import Dispatch
from llmtrace_sdk.core.policy import Policy
from llmtrace_sdk.core.routing import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmtrace_sdk.config import Settings
    from llmtrace_sdk.core.model import ActionStatus, CallRecord, Decision, Finding, Labels

    Then = Callable[[CallRecord], None]

_all: weakref.WeakSet[Aftermath] = weakref.WeakSet()


class _Waiting(NamedTuple):
    record: CallRecord
    names: tuple[str, ...]
    then: Then


class Aftermath:
    """The actions of one runtime. A record waits for what follows its call, and then tells how that ended.

    Raises `ConfigError` with everything that is wrong about the actions that are named. Its threads end when nobody
    holds it any more and no call waits for it.
    """

    def __init__(
        self,
        settings: Settings,
        state: actions.State,
        *,
        secret: Callable[[str], str | None],
        on_fault: Callable[[str, BaseException], None],
    ) -> None:
        self._for = _of(settings)
        self._router = settings.action_router
        self._policy = Policy(settings.enforcement)
        self._actions = actions.build(
            actions.Parts(
                router=settings.action_router,
                alerts=settings.alerts,
                secret=secret,
                state=state,
                block_secret=config.state_secret(settings),
                content=settings.telemetry.capture != "NO_CONTENT",
                warnings=_warnings,
            )
        )
        self._waiting: dict[str, _Waiting] = {}
        # what the threads hold must not lead back here, or they would go on for ever
        self._dispatch = Dispatch(self._actions, on_fault=on_fault, told=partial(_told, self._waiting))
        self._dispatch.warm()
        weakref.finalize(self, self._dispatch.close, 0.0).atexit = False
        _all.add(self)

    def is_for(self, settings: Settings) -> bool:
        """Whether other settings ask for the same."""
        return self._for == _of(settings)

    def after(self, record: CallRecord, then: Then) -> bool:
        """Do what follows a call, and call `then` with its record when that is done; False where nothing follows."""
        names = actions.following(record, self._router, self._actions)
        if not names:
            return False
        self._waiting[record.id] = _Waiting(record, names, then)
        self._dispatch.put(record, names, record.labels.source, shadow=self._in_shadow(record))
        return True

    def early(
        self, call: str, labels: Labels, findings: Sequence[Finding], decision: Decision
    ) -> Callable[[], None] | None:
        """What has to be done about findings before the answer is given out, so that the next call of its source meets
        the block; None where there is nothing. It may wait for the state, and never raises.
        """
        named = resolve(self._router, findings, decision.action)
        blocks = [block for name in named if isinstance(block := self._actions.get(name), Block)]

        def count() -> None:
            for block in blocks:
                block.count(call, labels, labels.source)

        return count if blocks else None

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything queued so far is done; False when that takes longer than `timeout_s` seconds."""
        return self._dispatch.flush(timeout_s)

    def let_go(self) -> None:
        """Wait no longer: the records that do are told without how it ended."""
        self._dispatch.close(0.0)
        for waiting in list(self._waiting.values()):
            _told(self._waiting, waiting.record, [dropped(name, "unfinished") for name in waiting.names])

    def close(self, timeout_s: float) -> None:
        """Do what is queued, for so many seconds, and let go of threads and connections; a later call starts anew."""
        self._dispatch.close(timeout_s)
        self.let_go()

    def _in_shadow(self, record: CallRecord) -> bool:
        labels = record.labels
        return self._policy.for_call(
            tenant=labels.tenant,
            agent=labels.agent,
            user=labels.user,
            model=record.prompt.model,
            provider=record.provider,
        ).options.shadow

    def _after_fork(self) -> None:
        """The records that wait are the parent's."""
        self._waiting.clear()


def existing() -> list[Aftermath]:
    """All that there are in this process."""
    return list(_all)


def blocks_of(settings: Settings) -> Callable[[Labels], tuple[str, ...]] | None:
    """Gives the keys under which the source of a call could be blocked; None where nobody ever is."""
    router = settings.action_router
    if not router.enabled:
        return None
    made = actions.blocking(actions.Parts(router=router, block_secret=config.state_secret(settings)))
    if not made:
        return None
    return lambda labels: tuple(key for block in made if (key := block.key(labels, labels.source)) is not None)


def _told(waiting: dict[str, _Waiting], record: CallRecord, statuses: Sequence[ActionStatus]) -> None:
    found = waiting.pop(record.id, None)
    if found is not None:
        known = {each.name: each for each in record.actions}  # it happened before, whatever has been dropped since
        found.then(structs.replace(record, actions=tuple(known.get(each.name, each) for each in statuses)))


def _of(settings: Settings) -> tuple[Any, ...]:
    return (
        settings.action_router,
        settings.alerts,
        settings.state,
        settings.enforcement,
        settings.telemetry.capture,
    )


def _warnings(record: CallRecord) -> tuple[str, ...]:
    return tuple(f"{warning.scope}.{warning.window}" for warning in record.warnings)


def _after_fork_in_child() -> None:
    for each in list(_all):
        each._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
