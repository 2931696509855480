"""Waiting for what comes about by itself, however slow the machine is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def until(holds: Callable[[], bool], deadline_s: float = 30.0) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + deadline_s
    while not (true := holds()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return true


def becomes(expected: object, what: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait for a value; the time that counts is asserted where it is promised."""
    deadline = time.monotonic() + within_s
    while what() != expected:
        assert time.monotonic() < deadline, f"still {what()!r}"
        time.sleep(0.005)
