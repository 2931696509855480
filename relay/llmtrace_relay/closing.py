"""What is to be ended with a worker, and how long all of that may take together."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

CLOSING_S: Final = 10.0
LEAST_S: Final = 0.5


class Closing(AsyncExitStack):
    """Ends the last first. While the database hangs each may take all the time it is given, so they share it."""

    _until: float | None = None

    def timed(self, close: Callable[[float], object]) -> None:
        """Have `close` called with the seconds that it may take: what is left of `CLOSING_S`, `LEAST_S` at least."""
        self.callback(lambda: close(self._left()))

    def _left(self) -> float:
        now = time.monotonic()
        if self._until is None:
            self._until = now + CLOSING_S
        return max(self._until - now, LEAST_S)
