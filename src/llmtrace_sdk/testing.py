"""For the tests of programs that use llmtrace: collected records, and a pytest fixture (`llmtrace_records`)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.model import CallRecord


class Records(list["CallRecord"]):
    """The records of the calls made so far; `settled()` waits for those that the worker still has."""

    def settled(self, timeout_s: float = 5.0) -> Records:
        """All records, the last ones included. Raises `TimeoutError` when the worker does not get there in time."""
        import llmtrace_sdk

        if not llmtrace_sdk.flush(timeout_s):
            raise TimeoutError(f"llmtrace's worker still had records to deliver after {timeout_s} s")
        return self


@contextmanager
def recorded() -> Iterator[Records]:
    """Collect the record of every call made inside."""
    import llmtrace_sdk

    records = Records()
    stop = llmtrace_sdk.on_record(records.append)
    try:
        yield records
        llmtrace_sdk.flush()
    finally:
        stop()


@pytest.fixture
def llmtrace_records() -> Iterator[Records]:
    """The records of the calls that a test makes."""
    with recorded() as records:
        yield records
