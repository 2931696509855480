"""What follows a finished call: actions and alerts, off every thread that anybody waits for."""

from __future__ import annotations

import weakref
from threading import Lock
from typing import TYPE_CHECKING, Any

from msgspec import structs

from llmtrace_sdk import actions
from llmtrace_sdk.actions.dispatch import Dispatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmtrace_sdk.config import Settings
    from llmtrace_sdk.core.model import ActionStatus, CallRecord, Labels

    Then = Callable[[CallRecord], None]

_all: weakref.WeakSet[Aftermath] = weakref.WeakSet()


class Aftermath:
    """The actions of one runtime. A record waits for what follows its call, and then tells how that ended.

    Raises `ConfigError` with everything that is wrong about the actions that are named.
    """

    def __init__(
        self,
        settings: Settings,
        state: Any,
        *,
        secret: Callable[[str], str | None],
        on_fault: Callable[[str, BaseException], None],
    ) -> None:
        self._for = _of(settings)
        self._router = settings.action_router
        self._shadow = settings.enforcement.shadow
        self._actions = actions.build(
            actions.Parts(
                router=settings.action_router,
                alerts=settings.alerts,
                secret=secret,
                state=state,
                content=settings.telemetry.capture != "NO_CONTENT",
                warnings=_warnings,
            )
        )
        self._waiting: dict[str, Then] = {}
        self._lock = Lock()
        self._dispatch = Dispatch(self._actions, on_fault=on_fault, told=self._told)
        self._dispatch.warm()
        _all.add(self)

    def is_for(self, settings: Settings) -> bool:
        """Whether other settings ask for the same."""
        return self._for == _of(settings)

    def after(self, record: CallRecord, then: Then) -> bool:
        """Do what follows a call, and call `then` with its record when that is done; False where nothing follows."""
        names = actions.following(record, self._router, self._actions)
        if not names:
            return False
        with self._lock:
            self._waiting[record.id] = then
        self._dispatch.put(record, names, None, shadow=self._shadow)
        return True

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything queued so far is done; False when that takes longer than `timeout_s` seconds."""
        return self._dispatch.flush(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Do what is queued and let go of threads and connections; a later call starts anew."""
        return self._dispatch.close(timeout_s)

    def _told(self, record: CallRecord, statuses: Sequence[ActionStatus]) -> None:
        with self._lock:
            then = self._waiting.pop(record.id, None)
        if then is not None:
            then(structs.replace(record, actions=tuple(statuses)))


def existing() -> list[Aftermath]:
    """All that there are in this process."""
    return list(_all)


def blocks_of(settings: Settings) -> Callable[[Labels], tuple[str, ...]] | None:
    """Gives the keys under which the source of a call could be blocked; None where nobody ever is."""
    router = settings.action_router
    if not router.enabled:
        return None
    made = actions.blocking(actions.Parts(router=router))
    if not made:
        return None
    return lambda labels: tuple(key for block in made if (key := block.key(labels, None)) is not None)


def _of(settings: Settings) -> tuple[Any, ...]:
    shadow, capture = settings.enforcement.shadow, settings.telemetry.capture
    return settings.action_router, settings.alerts, settings.state, shadow, capture


def _warnings(record: CallRecord) -> tuple[str, ...]:
    return tuple(f"{warning.scope}.{warning.window}" for warning in record.warnings)
