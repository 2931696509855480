"""Children that are forked in the middle of a test."""

from __future__ import annotations

import os
import traceback
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def forked(holds: Callable[[], object]) -> Callable[[], bool]:
    """Fork; gives what waits for the child's end, and tells whether `holds()` was true there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python >= 3.12 on forking with threads
        child = os.fork()
    if not child:
        status = 2
        try:
            status = 0 if holds() else 1
        except BaseException:  # nothing of the test may go on in the child
            traceback.print_exc()
        finally:
            os._exit(status)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
