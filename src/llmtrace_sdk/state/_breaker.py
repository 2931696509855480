"""Leaves a store alone for a moment after it has failed repeatedly, so that calls need not wait for it in vain."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Breaker:
    """After `threshold` failures in a row nobody may ask for `rest_s` seconds; then one may, each `rest_s` seconds."""

    def __init__(self, threshold: int, rest_s: float, clock: Callable[[], float]) -> None:
        self._threshold = max(threshold, 1)
        self._rest_s = rest_s
        self._clock = clock
        self._failures = 0
        self._resumes = 0.0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether it has failed so often that it rests."""
        return self._failures >= self._threshold

    def lets_pass(self) -> bool:
        """Whether the store may be asked now."""
        if self._failures < self._threshold:
            return True
        with self._lock:
            now = self._clock()
            if now < self._resumes:
                return False
            self._resumes = now + self._rest_s
            return True

    def succeeded(self) -> None:
        """The store answered."""
        self._failures = 0

    def failed(self) -> None:
        """It did not."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._threshold:
                self._resumes = self._clock() + self._rest_s
