"""The garbage collector of a process that is the relay's own."""

from __future__ import annotations

import gc
from typing import Final

YOUNG_OBJECTS: Final = 2_000
"""How many more there must be before the youngest are looked through; what a call takes is gone before that."""


def settle() -> None:
    """Have what is there by now never looked through again: rules, models and code stay as long as the process, and to
    go through them took a tenth of a second, again and again, while every call waited.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
