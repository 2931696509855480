"""What stays in memory as long as a process that is the relay's own."""

from __future__ import annotations

import asyncio
import gc
from typing import Final

from llmtrace_relay import hugepages

YOUNG_OBJECTS: Final = 2_000
"""How many more there must be before the youngest are looked through; what a call takes is gone before that."""

RIPE_S: Final = 60.0
"""Then there is what only calls bring: automata, and rules that are compiled when they are first tried."""


def settle() -> None:
    """Have what is there by now in huge pages, and never looked through for garbage again: rules, models and code stay
    as long as the process, and to go through them took a tenth of a second, again and again, while every call waited.

    Called on an event loop, which has more put into huge pages a minute later, on a thread.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
    hugepages.take()
    loop = asyncio.get_running_loop()
    loop.call_later(RIPE_S, loop.run_in_executor, None, hugepages.take)
