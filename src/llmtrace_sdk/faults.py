"""Faults of our own: counted, and told of once in a while."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Final

FAULT_LOG_INTERVAL_S: Final = 60.0
log = logging.getLogger("llmtrace")
_logged: dict[str, float] = {}
faults: Counter[str] = Counter()
"""How many there were, by component."""


def count_fault(component: str, error: BaseException, *, told: bool = False) -> None:
    """Count a fault of ours and log it once a minute, without its message: that may quote what was inspected.

    `told`: whoever calls logs it in words of its own.
    """
    faults[component] += 1
    if told:
        return
    now = time.monotonic()
    if now - _logged.get(component, -FAULT_LOG_INTERVAL_S) >= FAULT_LOG_INTERVAL_S:
        _logged[component] = now
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        log.warning("llmtrace %s failed with %s (%d so far)", component, kind, faults[component])
