from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.model import CallRecord


@pytest.fixture(autouse=True)
def no_faults_left_behind() -> Iterator[None]:
    """Other tests say that there were none in the whole process."""
    yield
    runtime.faults.clear()


@pytest.fixture
def records() -> Iterator[list[CallRecord]]:
    found: list[CallRecord] = []
    remove = llmtrace.on_record(found.append)
    yield found
    remove()
