"""Carries what the tasks of one event loop ask to Redis together: a burst costs few round trips, and little time each.

Who asks while all trips are under way waits, and goes with the next one, together with all who wait by then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.errors import StateUnavailable
from llmtrace_sdk.state._failures import reason_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from llmtrace_sdk.state._breaker import Breaker
    from llmtrace_sdk.state._messages import Command

    Send = Callable[[Sequence[Command]], Awaitable[list[Any]]]

TRIPS: Final = 4
"""How many round trips there are at once: while the server works on one, the program makes the next."""

TOGETHER: Final = 100
"""How many commands one round trip carries: few enough that server and event loop do other things in between."""

EACH_S: Final = 0.001
"""What the program may take for a command, on top of the time-outs."""

PATIENCE: Final = 10
"""How many times the time-out a question waits at most while others are answered."""


class Carrier:
    """The way of the tasks of one event loop to one server.

    `send` gives the answers to commands, errors of the server among them. It may take `trip_s` seconds. While the
    server is silent a question waits no longer than `answer_s` for its trip, and `PATIENCE` times that in any case.
    `breaker` is told how each trip ended.
    """

    def __init__(self, send: Send, breaker: Breaker, *, answer_s: float, trip_s: float, trips: int = TRIPS) -> None:
        self._send = send
        self._breaker = breaker
        self._answer_s = answer_s
        self._trip_s = trip_s
        self._most = max(trips, 1)
        self._waiting: deque[_Question] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The answers, in order. Raises `StateUnavailable`. May be cancelled: what goes with it is not."""
        loop = asyncio.get_running_loop()
        question = _Question(commands, loop.create_future(), loop.time())
        self._waiting.append(question)
        if len(self._tasks) < self._most:
            self._set_out(loop)
        told = await question.told
        if isinstance(told, str):
            raise StateUnavailable(told)
        return told

    def close(self) -> None:
        """End what is under way; whoever asks has no answer."""
        for task in list(self._tasks):
            task.cancel()

    def _set_out(self, loop: asyncio.AbstractEventLoop) -> None:
        task = loop.create_task(self._travel(loop), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._came_back)

    async def _travel(self, loop: asyncio.AbstractEventLoop) -> None:
        aboard: list[_Question] = []
        try:
            while aboard := self._board(loop.time()):
                await self._carry(aboard, loop)
        finally:
            _refuse(aboard, "closed")  # none, unless somebody has ended this task

    def _came_back(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._waiting or len(self._tasks) >= self._most:
            return
        if not task.cancelled():  # they came when it had looked for the last time
            self._set_out(task.get_loop())
        elif not self._tasks:
            _refuse(self._waiting, "closed")
            self._waiting.clear()

    def _board(self, now: float) -> list[_Question]:
        """Those who go next."""
        aboard: list[_Question] = []
        room, waiting = TOGETHER, self._waiting
        while waiting and (room >= len(waiting[0].commands) or not aboard):
            question = waiting.popleft()
            if question.told.done():
                continue
            if now - question.asked > PATIENCE * self._answer_s:
                _refuse((question,), "busy")
                continue
            aboard.append(question)
            room -= len(question.commands)
        return aboard

    async def _carry(self, aboard: Sequence[_Question], loop: asyncio.AbstractEventLoop) -> None:
        commands = [command for question in aboard for command in question.commands]
        try:
            async with asyncio.timeout(self._trip_s + EACH_S * len(commands)):
                answers = iter(await self._send(commands))
        except Exception as error:  # noqa: BLE001 - clients of clusters raise all sorts when nodes go away
            self._breaker.failed()
            _refuse(aboard, reason_of(error))
            self._lose_patience(loop.time())
            return
        fine = [_tell(question, [next(answers) for _ in question.commands]) for question in aboard]
        self._breaker.succeeded() if any(fine) else self._breaker.failed()

    def _lose_patience(self, now: float) -> None:
        """After a failure: nobody waits any longer than they would have alone, and nobody at all for what rests."""
        waiting = self._waiting
        if self._breaker.is_open:
            _refuse(waiting, "resting")
            waiting.clear()
        while waiting and now - waiting[0].asked >= self._answer_s:
            _refuse((waiting.popleft(),), "busy")


class _Question:
    """What one task asks. `told` gets the answers, or in a word why there are none."""

    __slots__ = ("asked", "commands", "told")

    def __init__(self, commands: Sequence[Command], told: asyncio.Future[list[Any] | str], asked: float) -> None:
        self.commands = commands
        self.told = told
        self.asked = asked


def _tell(question: _Question, answers: list[Any]) -> bool:
    """Give a question its answers; whether they are answers, and no errors."""
    wrong = next((answer for answer in answers if isinstance(answer, Exception)), None)
    if not question.told.done():
        question.told.set_result(answers if wrong is None else reason_of(wrong))
    return wrong is None


def _refuse(questions: Sequence[_Question], reason: str) -> None:
    for question in questions:
        if not question.told.done():
            question.told.set_result(reason)
