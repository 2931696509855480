"""Our own faults, told once a minute and without their message: that may quote what was inspected."""

from __future__ import annotations

import logging
import time
from typing import Final

LOG_INTERVAL_S: Final = 60.0
_log = logging.getLogger("llmtrace")
# By component, of which there is a handful: bounded.
_counts: dict[str, int] = {}
_logged: dict[str, float] = {}


def note(component: str, error: BaseException) -> None:
    """Count a fault of a component and log its kind, at most once a minute per component. Takes no lock: safe
    inside `__del__` and after a fork.
    """
    count = _counts[component] = _counts.get(component, 0) + 1
    now = time.monotonic()
    if now - _logged.get(component, -LOG_INTERVAL_S) >= LOG_INTERVAL_S:
        _logged[component] = now
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        _log.warning("llmtrace %s failed with %s (%d so far)", component, kind, count)
