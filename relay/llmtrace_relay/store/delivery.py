"""Gets spans into the store: again and again while it is away, without those that it refuses when it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmtrace_relay.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmtrace_relay.model import Span
    from llmtrace_relay.store import Store

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0


class GivenUp(Exception):
    """There is no more time to wait for the store."""


class Delivery:
    """`pause` waits for some seconds, or raises `GivenUp`. `on_fault` is told when the store goes away, and of each
    span that it refuses, by component (`store`).
    """

    def __init__(
        self,
        store: Store,
        on_fault: Callable[[str, BaseException], None],
        pause: Callable[[float], None],
    ) -> None:
        self._store = store
        self._on_fault = on_fault
        self._pause = pause

    def run(self, spans: Sequence[Span]) -> int:
        """Keep spans; gives how many of them were not refused. Raises `GivenUp`."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                self._store.put(spans)
            except StoreUnavailable as error:
                if error.refused:
                    return self._part(spans, error)
                if pause_s == FIRST_PAUSE_S:
                    self._on_fault("store", error)
            except Exception as error:  # noqa: BLE001 - a fault of ours over one span must not hold up the others
                return self._part(spans, error)
            else:
                return len(spans)
            self._pause(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _part(self, spans: Sequence[Span], error: Exception) -> int:
        if len(spans) == 1:
            self._on_fault("store", error)
            return 0
        half = len(spans) // 2
        return self.run(spans[:half]) + self.run(spans[half:])
