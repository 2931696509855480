"""How questions get to Redis: so many at a time, within a time-out, and not at all while it fails."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from llmtrace_sdk.errors import StateUnavailable
from llmtrace_sdk.state._breaker import Breaker
from llmtrace_sdk.state._carrier import TRIPS, Carrier
from llmtrace_sdk.state._clients import Timeouts, asend, asynchronous, blocking, close, send
from llmtrace_sdk.state._failures import is_unknown_script, reason_of, was_cut_off

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.state._address import Address
    from llmtrace_sdk.state._messages import Command, Words

SLACK_S: Final = 0.05
"""What the program itself may take, on top of the time-outs."""


class Tuning(NamedTuple):
    """Time-outs in seconds; `connections` at most for all threads, and never more for each event loop.

    After `failures` in a row Redis is left alone for `rest_s` seconds.
    """

    connect_s: float
    answer_s: float
    connections: int
    failures: int
    rest_s: float


class Loop(NamedTuple):
    """What belongs to one event loop: its client, and its way to each server, by name."""

    client: Any
    carriers: dict[str, Carrier]


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

    async def aask(self, commands: Sequence[Command]) -> list[Any]:
        """`ask` for a task of asyncio: what may be asked twice. Tasks that ask at the same time share round trips."""
        self._check()
        loop = self._loop()
        places = [self._place(loop.client, command) for command in commands]
        if len(set(places)) == 1:
            return await self._carrier(loop, places[0]).ask(commands)
        answers: list[Any] = [None] * len(commands)
        groups = [[at for at, name in enumerate(places) if name == place] for place in dict.fromkeys(places)]
        asked = (self._carrier(loop, places[group[0]]).ask([commands[at] for at in group]) for group in groups)
        for group, told in zip(groups, await asyncio.gather(*asked), strict=True):
            _fill(answers, group, told)
        return answers

    def close(self) -> None:
        """Close the connections of threads, and forget those of event loops."""
        self._closed = True
        client, self._client = self._client, None
        self._loops = WeakKeyDictionary()
        if client is not None:
            close(client)

    async def aclose(self) -> None:
        """Close the connections of threads and of this event loop."""
        loop = self._loops.pop(asyncio.get_running_loop(), None)
        self.close()
        if loop is not None:
            for carrier in loop.carriers.values():
                carrier.close()
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
            _fill(answers, unknown, send(client, _introduced(commands, unknown, cluster=self._address.cluster)))
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
            found = self._loops[running] = Loop(asynchronous(self._address, self._timeouts), {})
        return found

    def _place(self, client: Any, command: Command) -> str:
        """The node of a cluster that has the key of a command; '' where there is one server, or it is not known."""
        if not self._address.cluster:
            return ""
        try:
            return str(client.get_node_from_key(command.words[1]).name)
        except Exception:  # noqa: BLE001 - it has lost sight of the cluster; asking lets it look anew
            return ""

    def _carrier(self, loop: Loop, place: str) -> Carrier:
        found = loop.carriers.get(place)
        if found is None:
            tuning = self._tuning
            found = loop.carriers[place] = Carrier(
                partial(_aanswers, loop.client, cluster=self._address.cluster),
                self._breaker,
                answer_s=tuning.answer_s,
                trip_s=tuning.connect_s + tuning.answer_s + SLACK_S,
                trips=min(TRIPS, tuning.connections),
            )
        return found


async def _aanswers(client: Any, commands: Sequence[Command], *, cluster: bool) -> list[Any]:
    """The answers, errors of the server among them; a dead connection is replaced once."""
    named = [command.by_name() for command in commands]
    try:
        answers = await asend(client, named)
    except Exception as error:
        if not was_cut_off(error):
            raise
        answers = await asend(client, named)
    cut = [at for at, answer in enumerate(answers) if isinstance(answer, Exception) and was_cut_off(answer)]
    if cut:  # clusters tell it so
        _fill(answers, cut, await asend(client, [named[at] for at in cut]))
    unknown = [at for at, answer in enumerate(answers) if is_unknown_script(answer)]
    if unknown:
        _fill(answers, unknown, await asend(client, _introduced(commands, unknown, cluster=cluster)))
    return answers


def _introduced(commands: Sequence[Command], places: Sequence[int], *, cluster: bool) -> list[Words]:
    """Commands whose scripts the server has not seen: each script in full once, or each time where servers differ."""
    seen: set[str] = set()
    words = []
    for at in places:
        script = commands[at].script
        known = script is not None and script.sha in seen and not cluster
        words.append(commands[at].by_name() if known else commands[at].in_full())
        seen.update((script.sha,) if script is not None else ())
    return words


def _fill(answers: list[Any], places: list[int], told: list[Any]) -> None:
    for at, answer in zip(places, told, strict=True):
        answers[at] = answer


def _checked(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers
