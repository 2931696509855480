"""What is closed leaves no connection behind, not even until the next garbage collection."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llmtrace_sdk.core.claims import Claims, Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmtrace_sdk.typing import State

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
KEYS = 20


@pytest.fixture(autouse=True)
def _nothing_is_collected(connect: Callable[[], State]) -> Iterator[None]:
    connect().spent([])  # the server of the tests is there
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def sockets() -> int:
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            found += str(each.readlink()).startswith("socket:")
    return found


def claims(tag: str) -> list[Claims]:
    return [Claims(str(n), (), (Slots(f"{{{tag[1:-1]}{n}}}:s", 3, 60),)) for n in range(KEYS)]


def test_closed_from_a_thread(connect: Callable[[], State], tag: str) -> None:
    before = sockets()
    state = connect()
    assert all(state.admit(each).granted for each in claims(tag))
    state.close()
    assert sockets() == before


def test_closed_in_an_event_loop(connect: Callable[[], State], tag: str) -> None:
    before = sockets()
    state = connect()

    async def run() -> None:
        answers = await asyncio.gather(*map(state.aadmit, claims(tag)))
        assert all(answer.granted for answer in answers)
        await state.aclose()

    asyncio.run(run())
    assert sockets() == before
