"""RE2, which matches in linear time, where it can be had."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType


def engine() -> ModuleType | None:
    """The module `re2`; None where it cannot be imported."""
    try:
        import re2
    except ImportError:
        return None
    return re2  # type: ignore[no-any-return]


def options(re2: ModuleType, memory: int) -> Any:
    """RE2's options for patterns that use so many bytes at most, and log nothing."""
    found = re2.Options()
    found.max_mem = memory
    found.log_errors = False
    return found


def compiled(pattern: str) -> Any:
    r"""A pattern over texts, in the syntax that RE2 and Python share, where `\b \d \s \w` are ASCII; by Python's `re`
    where there is no RE2.
    """
    re2 = engine()
    return re.compile(pattern, re.ASCII) if re2 is None else re2.compile(pattern)
