"""How questions get to Redis: so many at a time, within a time-out, and not at all while it fails."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from llmtrace_sdk.errors import StateUnavailable
from llmtrace_sdk.state._breaker import Breaker
from llmtrace_sdk.state._clients import Timeouts, asend, asynchronous, blocking, send
from llmtrace_sdk.state._failures import is_unknown_script, reason_of, was_cut_off

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.state._address import Address
    from llmtrace_sdk.state._messages import Command

SLACK_S: Final = 0.05
"""What the program itself may take, on top of the time-outs."""


class Tuning(NamedTuple):
    """Time-outs in seconds; `connections` at most for all threads and as many for each event loop.

    After `failures` in a row Redis is left alone for `rest_s` seconds.
    """

    connect_s: float
    answer_s: float
    connections: int
    failures: int
    rest_s: float


class Loop(NamedTuple):
    """What belongs to one event loop."""

    client: Any
    turns: asyncio.Semaphore


class Lanes:
    """Asks Redis, from threads and from tasks. Raises `StateUnavailable` alone."""

    def __init__(self, address: Address, tuning: Tuning) -> None:
        self._address = address
        self._tuning = tuning
        self._timeouts = Timeouts(tuning.connect_s, tuning.answer_s)
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Begin anew, without touching the connections there are: those of a forked child are its parent's."""
        tuning = self._tuning
        self._breaker = Breaker(tuning.failures, tuning.rest_s, time.monotonic)
        self._turns = threading.BoundedSemaphore(tuning.connections)
        self._making = threading.Lock()
        self._client: Any = None
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Loop] = WeakKeyDictionary()

    def ask(self, commands: Sequence[Command], *, repeatable: bool = True) -> list[Any]:
        """The answers, in order. `repeatable`: asking twice does no harm, so a dead connection is replaced."""
        self._check()
        if not self._turns.acquire(timeout=self._tuning.answer_s):
            raise StateUnavailable("busy")
        try:
            answers = self._answers(commands, repeatable=repeatable)
        except Exception as error:  # noqa: BLE001 - clients of clusters raise all sorts when nodes go away
            raise self._failure(error) from None
        finally:
            self._turns.release()
        self._breaker.succeeded()
        return answers

    async def aask(self, commands: Sequence[Command], *, repeatable: bool = True) -> list[Any]:
        """`ask` for a task of asyncio."""
        self._check()
        loop = self._loop()
        try:
            async with asyncio.timeout(self._tuning.answer_s):
                await loop.turns.acquire()
        except TimeoutError:
            raise StateUnavailable("busy") from None
        try:
            async with asyncio.timeout(self._tuning.connect_s + self._tuning.answer_s + SLACK_S):
                answers = await _aanswers(loop.client, commands, repeatable=repeatable)
        except Exception as error:  # noqa: BLE001 - as in `ask`
            raise self._failure(error) from None
        finally:
            loop.turns.release()
        self._breaker.succeeded()
        return answers

    def close(self) -> None:
        """Close the connections of threads, and forget those of event loops."""
        self._closed = True
        client, self._client = self._client, None
        self._loops = WeakKeyDictionary()
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Close the connections of threads and of this event loop."""
        loop = self._loops.pop(asyncio.get_running_loop(), None)
        self.close()
        if loop is not None:
            await loop.client.aclose()

    def _check(self) -> None:
        if self._closed:
            raise StateUnavailable("closed")
        if not self._breaker.lets_pass():
            raise StateUnavailable("resting")

    def _failure(self, error: Exception) -> StateUnavailable:
        self._breaker.failed()
        return StateUnavailable(reason_of(error))

    def _answers(self, commands: Sequence[Command], *, repeatable: bool) -> list[Any]:
        client = self._client or self._connected()
        named = [command.by_name() for command in commands]
        try:
            answers = send(client, named)
        except Exception as error:
            if not repeatable or not was_cut_off(error):
                raise
            answers = send(client, named)
        unknown = [at for at, answer in enumerate(answers) if is_unknown_script(answer)]
        if unknown:
            told = send(client, [commands[at].in_full() for at in unknown])
            _fill(answers, unknown, told)
        return _checked(answers)

    def _connected(self) -> Any:
        if not self._making.acquire(timeout=self._tuning.answer_s):
            raise TimeoutError
        try:
            if self._client is None:
                self._client = blocking(self._address, self._timeouts)
            return self._client
        finally:
            self._making.release()

    def _loop(self) -> Loop:
        running = asyncio.get_running_loop()
        found = self._loops.get(running)
        if found is None:
            found = Loop(asynchronous(self._address, self._timeouts), asyncio.Semaphore(self._tuning.connections))
            self._loops[running] = found
        return found


async def _aanswers(client: Any, commands: Sequence[Command], *, repeatable: bool) -> list[Any]:
    named = [command.by_name() for command in commands]
    try:
        answers = await asend(client, named)
    except Exception as error:
        if not repeatable or not was_cut_off(error):
            raise
        answers = await asend(client, named)
    unknown = [at for at, answer in enumerate(answers) if is_unknown_script(answer)]
    if unknown:
        told = await asend(client, [commands[at].in_full() for at in unknown])
        _fill(answers, unknown, told)
    return _checked(answers)


def _fill(answers: list[Any], places: list[int], told: list[Any]) -> None:
    for at, answer in zip(places, told, strict=True):
        answers[at] = answer


def _checked(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers
