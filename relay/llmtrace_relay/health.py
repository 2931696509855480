"""`/health`, `/ready` and `/live`: how the relay is, whether to send it calls, and whether to start it anew."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

import llmtrace_sdk
from llmtrace_relay.checks import EVERY_S, LIMIT_S, Check
from llmtrace_sdk import detectors
from llmtrace_sdk.faults import faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from llmtrace_relay.metrics import Metrics
    from llmtrace_sdk.typing import State

    Answer = tuple[int, dict[str, Any]]
    Flags = Literal["disabled", "kept", "unkept"]

REMEMBERED_S: Final = 60.0
"""How long after a fault a part counts as unwell."""

_INSPECTION: Final = ("request", "response", "match", "worker", "ending", "refusal")
_ANSWERED_TOPIC: Final = "llmtrace.health"


def answers(state: State) -> Callable[[], bool]:
    """Asks the store of shared limits whether it is there; where it is not, it raises within its own time limit."""

    def ask() -> bool:
        state.latest(_ANSWERED_TOPIC)
        return True

    return ask


class Untroubled:
    """Whether some components had no fault for a minute."""

    def __init__(
        self,
        names: Iterable[str],
        counted: Mapping[str, int] = faults,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = tuple(names)
        self._counted = counted
        self._clock = clock
        self._seen = self._sum()
        self._last = -math.inf

    def __call__(self) -> bool:
        """Whether they had none."""
        count, now = self._sum(), self._clock()
        if count != self._seen:
            self._seen, self._last = count, now
        return now - self._last >= REMEMBERED_S

    def _sum(self) -> int:
        return sum(self._counted.get(name, 0) for name in self._names)


class Health:
    """How one worker is. Everything that is asked may block, and is asked off the event loop.

    `store`: whether the database answers. `room`: whether one more call could wait for it; None where none may wait.
    `state`: whether the store of shared limits answers; None where limits are this process's own. `needs_state`: calls
    are refused without it (`state.fail_mode: closed`). `needs_store`: keys are asked for, so that without the database
    calls are refused, because nobody could tell whose they are. `ml`, `judge`: whether these tiers are on. `flags`:
    whether feature flags that are changed at run time outlive the process. `dropped` tells what was lost, by name.
    """

    def __init__(
        self,
        store: Callable[[], bool],
        room: Callable[[], bool] | None = None,
        state: Callable[[], bool] | None = None,
        *,
        needs_state: bool = False,
        needs_store: bool = False,
        ml: bool = False,
        judge: bool = False,
        flags: Flags = "kept",
        dropped: Callable[[], Mapping[str, int]] = dict,
        every_s: float = EVERY_S,
        limit_s: float = LIMIT_S,
    ) -> None:
        def check(name: str, ask: Callable[[], bool] | None) -> Check | None:
            return None if ask is None else Check(name, ask, every_s=every_s, limit_s=limit_s)

        self.store = Check("storage", store, every_s=every_s, limit_s=limit_s)
        self.state = check("state", state)
        self.security = Untroubled({*_INSPECTION, *detectors.available()})
        self._room = check("spool", room)
        self._needs_state = needs_state
        self._needs_store = needs_store
        self._ml = Untroubled(["tier.ml"]) if ml else None
        self._judge = Untroubled(["tier.judge"]) if judge else None
        self._flags: Flags = flags
        self._dropped = dropped
        self._well_once = False
        self.draining = False
        """Set when the relay is about to end: no more calls should come."""

    async def __call__(self, scope: Any, _receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        """Serve one request for any of the three (ASGI), by the end of its path."""
        path = scope["path"].rstrip("/")
        if path.endswith("/live"):
            status, body = self.live()
        elif path.endswith("/ready"):
            status, body = await self.ready()
        else:
            status, body = await self.health()
        content = msgspec.json.encode(body)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        shown = b"" if scope.get("method") == "HEAD" else content
        await send({"type": "http.response.body", "body": shown, "more_body": False})

    async def health(self) -> Answer:
        """How each part is. 200 while calls are served, with parts that are away or without; 503 before all parts have
        been there once.
        """
        stored, shared, _ = await self._look()
        security = self.security()
        well = stored and shared and security
        self._well_once = self._well_once or well
        status = "healthy" if well else "degraded" if self._well_once else "starting"
        judge = {"enabled_at_startup": self._judge is not None, "worker_spawned": self._judge is not None}
        return 503 if status == "starting" else 200, {
            "status": status,
            "starting": status == "starting",
            "version": llmtrace_sdk.__version__,
            "draining": self.draining,
            "auth": {"enabled": self._needs_store},
            "storage": {
                "traces": {"healthy": stored},
                "metadata": {"healthy": stored},
                "cache": {"healthy": shared},
                "circuit_breaker": _breaker(stored),
            },
            "security": {"healthy": security, "circuit_breaker": _breaker(security)},
            "ml": {"status": "disabled" if self._ml is None else "loaded" if self._ml() else "failed"},
            "judge": {**judge, "healthy": self._judge is None or self._judge()},
            "runtime_overlay": self._overlay(stored),
            "dropped": dict(self._dropped()),
        }

    async def ready(self) -> Answer:
        """Whether calls should be sent here: 200, or 503 with the parts that are missing."""
        stored, shared, room = await self._look()
        missing = ["draining"] if self.draining else []
        if not stored and (self._needs_store or not room):
            missing.append("storage")
        if not shared and self._needs_state:
            missing.append("state")
        return 503 if missing else 200, {"ready": not missing, "missing": missing}

    def live(self) -> Answer:
        """Whether the process can go on: 200 whenever it can answer at all."""
        return 200, {"live": True}

    async def look(self) -> None:
        """Ask everything anew, unless that was done a moment ago: for who wants to know `store.last`."""
        await self._look()

    async def _look(self) -> tuple[bool, bool, bool]:
        """Whether there is the database, the store of shared limits, and room to wait for the database."""
        checks = [self.store, *(check for check in (self.state, self._room) if check is not None)]
        await asyncio.gather(*(check.holds() for check in checks))
        return (
            bool(self.store.last),
            self.state is None or bool(self.state.last),
            self._room is not None and bool(self._room.last),
        )

    def _overlay(self, stored: bool) -> dict[str, Any]:
        """Feature flags changed at run time are kept in the database, not in a file beside the configuration."""
        if self._flags == "disabled":
            return {"status": "disabled", "persistence": False, "writable": False}
        found: dict[str, Any] = {"persistence": self._flags == "kept", "writable": stored}
        if stored:
            return {"status": "writable", **found}
        return {"status": "not_writable", **found, "reason_code": "unknown"}


def watch(health: Health, metrics: Metrics) -> None:
    """Have the metrics tell what was found last."""

    def breakers() -> dict[tuple[str, ...], float]:
        parts = {"storage": health.store.last, "security": health.security()}
        if health.state is not None:
            parts["state"] = health.state.last
        told: dict[tuple[str, ...], float] = {}
        for subsystem, well in parts.items():
            told[subsystem, "closed"] = float(well is not False)
            told[subsystem, "open"] = float(well is False)
            told[subsystem, "half_open"] = 0.0
        return told

    metrics.watch("llmtrace_storage_up", lambda: float(health.store.last is not False))
    metrics.watch("llmtrace_state_up", lambda: float(health.state is None or health.state.last is not False))
    metrics.watch("llmtrace_draining", lambda: float(health.draining))
    metrics.watch("llmtrace_circuit_breaker_state", breakers)


def _breaker(well: bool) -> str:
    return "Closed" if well else "Open"
