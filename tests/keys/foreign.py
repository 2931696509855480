"""What the keys about detectors of somebody else's do."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from llmtrace_sdk import detectors, wiring

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench, Seen

AMPLE_MS, TOO_SHORT_MS = 60_000, 20


class Acme:
    """A detector that does what it is told."""

    name = "acme"
    phases = frozenset({"input"})

    def __init__(self, does: Callable[[], Any]) -> None:
        self._does = does

    def detect(self, *_: object) -> tuple[()]:
        self._does()
        return ()


class Point:
    """An entry point."""

    name = value = "acme"

    def __init__(self, does: Callable[[], Any]) -> None:
        self._does = does

    def load(self) -> Callable[[], Acme]:
        return lambda: Acme(self._does)


def call(bench: Bench, does: Callable[[], Any], **enforcement: Any) -> Seen:
    """A call that only this detector looks at."""
    bench.monkeypatch.setattr(detectors, "entry_points", lambda group: [Point(does)])
    wiring._engine.cache_clear()
    try:
        return bench.call(security_analysis={"detectors": ["acme"]}, enforcement=enforcement)
    finally:
        wiring._engine.cache_clear()


def _slow(bench: Bench, **enforcement: Any) -> bool:
    """Whether a detector that takes a while was given up."""
    return call(bench, lambda: threading.Event().wait(0.3), **enforcement).decision.degraded


def rule(**keys: Any) -> dict[str, Any]:
    return {"categories": [{"finding_type": "acme", "action": "log", **keys}]}


def timeout_ms(bench: Bench) -> None:
    assert not _slow(bench, timeout_ms=AMPLE_MS)
    assert _slow(bench, timeout_ms=TOO_SHORT_MS)


def budget_ms(bench: Bench) -> None:
    assert not _slow(bench, timeout_ms=TOO_SHORT_MS, **rule(budget_ms=AMPLE_MS))
    assert _slow(bench, timeout_ms=AMPLE_MS, **rule(budget_ms=TOO_SHORT_MS))


def fail_mode(bench: Bench) -> None:
    for given, status in (("open", 200), ("closed", 400)):
        assert call(bench, lambda: 1 / 0, **rule(fail_mode=given)).status == status


EFFECTS: dict[str, Callable[[Bench], None]] = {
    "enforcement.timeout_ms": timeout_ms,
    "enforcement.categories[].budget_ms": budget_ms,
    "enforcement.categories[].fail_mode": fail_mode,
}
