"""Identifiers of calls."""

from __future__ import annotations

import os
import random
import time

# A generator of our own: the application may seed the module's one, and a system call per id would be slow.
_random = random.Random()  # noqa: S311 - ids must differ, they need not be secret
os.register_at_fork(after_in_child=_random.seed)


def uuid7() -> str:
    """A UUID version 7 (RFC 9562 section 5.7): sortable by time."""
    bits = _random.getrandbits(74)
    value = (time.time_ns() // 1_000_000) << 80 | 0x7 << 76 | bits >> 62 << 64 | 0b10 << 62 | bits & 0x3FFFFFFFFFFFFFFF
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
