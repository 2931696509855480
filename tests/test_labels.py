from __future__ import annotations

import asyncio
import threading

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import labels
from llmtrace_sdk.core.model import Labels


def test_inner_values_win_and_the_outer_ones_come_back() -> None:
    with llmtrace.context(session="s", agent="a", tags={"team": "x"}):
        with llmtrace.context(agent="b", tags={"run": "1"}) as inner:
            assert inner == Labels(session="s", agent="b", tags=(("team", "x"), ("run", "1")))
            assert labels.current() == inner
        assert labels.current() == Labels(session="s", agent="a", tags=(("team", "x"),))
    assert labels.current() == Labels()


def test_one_object_used_twice_and_inside_itself() -> None:
    again = llmtrace.context(user="u")
    with again, again:
        assert labels.current().user == "u"
    assert labels.current().user is None


def test_an_exception_does_not_leave_labels_behind() -> None:
    with pytest.raises(RuntimeError), llmtrace.context(user="u"):
        raise RuntimeError
    assert labels.current() == Labels()


def test_tasks_have_their_own_and_inherit() -> None:
    async def one(name: str) -> str | None:
        async with llmtrace.context(session=name):
            await asyncio.sleep(0.001)
            return await asyncio.create_task(child())

    async def child() -> str | None:
        return labels.current().session

    async def main() -> list[str | None]:
        return await asyncio.gather(*(one(str(n)) for n in range(20)))

    assert asyncio.run(main()) == [str(n) for n in range(20)]


def test_other_threads_see_nothing() -> None:
    seen = []
    with llmtrace.context(user="u"):
        thread = threading.Thread(target=lambda: seen.append(labels.current()))
        thread.start()
        thread.join()
    assert seen == [Labels()]
