from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llmtrace_sdk import runtime

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def no_faults_left_behind() -> Iterator[None]:
    """Other tests say that there were none in the whole process."""
    yield
    runtime.faults.clear()
