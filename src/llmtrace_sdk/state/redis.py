"""Shared enforcement state in Redis (5 or later) or Valkey, one server or a cluster, through redis-py."""

from __future__ import annotations

import asyncio
import os
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.core.claims import Admission, Settlement, Standing
from llmtrace_sdk.errors import StateUnavailable
from llmtrace_sdk.state import _messages as messages
from llmtrace_sdk.state._address import Address
from llmtrace_sdk.state._clients import require_redis
from llmtrace_sdk.state._lanes import Lanes, Tuning
from llmtrace_sdk.state._rules import check, check_value
from llmtrace_sdk.state._scripts import Scripts, scripts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.claims import Budget, Claims, Offence
    from llmtrace_sdk.state._messages import Command
    from llmtrace_sdk.typing import Announcement

SETTLED_AT_ONCE: Final = 200
"""How many settlements one round trip carries: few enough that the server answers others in between."""

_SCRIPTS: Final = scripts()
_states: weakref.WeakSet[RedisState] = weakref.WeakSet()


class RedisState:
    """A `State` shared by all processes that name the same Redis; its clock is that of the server.

    `url` is as `Address` says. Connecting happens with the first question. Raises `ConfigError` for a URL that cannot
    be used, or without redis-py. One question is one round trip, save the first of a script that the server has not
    seen, and on a cluster the call of a blocked source.

    `timeout_s` is how long an answer may take, `connect_timeout_s` a new connection. Threads have at most
    `connections` of them; the tasks of an event loop ask together over a few (`_carrier`), where one waits for its turn
    as long as others are answered, and ten times `timeout_s` at most. After `failures` in a row Redis is not asked for
    `rest_s` seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 0.1,
        connect_timeout_s: float = 0.05,
        connections: int = 64,
        failures: int = 5,
        rest_s: float = 1.0,
        scripts: Scripts = _SCRIPTS,
    ) -> None:
        require_redis()
        self._address = Address(url)
        self._scripts = scripts
        self._lanes = Lanes(self._address, Tuning(connect_timeout_s, timeout_s, connections, failures, rest_s))
        _states.add(self)

    def __repr__(self) -> str:
        return f"RedisState({self._address!r})"

    def admit(self, claims: Claims) -> Admission:
        """See `State.admit`."""
        commands = self._questions(claims)
        if not commands:
            return Admission(granted=True)
        answer, stray = self._judged(claims, self._lanes.ask(commands))
        if stray is not None:
            with suppress(StateUnavailable):  # then it stays reserved until its period ends
                self._lanes.ask([stray])
        return answer

    async def aadmit(self, claims: Claims) -> Admission:
        """See `State.aadmit`. For tasks of asyncio; those of another event loop ask on a thread."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            from anyio import to_thread  # the HTTP client that runs on another loop depends on it

            return await to_thread.run_sync(self.admit, claims, abandon_on_cancel=True)
        commands = self._questions(claims)
        if not commands:
            return Admission(granted=True)
        answer, stray = self._judged(claims, await self._lanes.aask(commands))
        if stray is not None:
            with suppress(StateUnavailable):
                await self._lanes.aask([stray])
        return answer

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """See `State.settle`. Where it raises, some may have been settled."""
        check(settlements)
        commands = [messages.settle(self._scripts.settle, each) for each in settlements if each.claims]
        for start in range(0, len(commands), SETTLED_AT_ONCE):
            self._lanes.ask(commands[start : start + SETTLED_AT_ONCE])

    def offend(self, offence: Offence) -> Standing:
        """See `State.offend`."""
        answer = self._ask(messages.offend(self._scripts.offend, offence), repeatable=False)
        return Standing(answer[0], answer[1] == 1)

    def block(self, key: str, ttl_s: float) -> None:
        """See `State.block`."""
        self._ask(messages.block(key, ttl_s))

    def unblock(self, key: str) -> None:
        """See `State.unblock`."""
        self._ask(messages.unblock(key))

    def blocked(self, keys: Sequence[str]) -> set[str]:
        """See `State.blocked`."""
        if not keys:
            return set()
        answers = self._lanes.ask([messages.block_time(key) for key in keys])
        return {key for key, left_ms in zip(keys, answers, strict=True) if left_ms != messages.NO_KEY}

    def spent(self, budgets: Sequence[Budget]) -> tuple[int, ...]:
        """See `State.spent`."""
        if not budgets:
            return ()
        return tuple(int(sum_ or 0) for sum_ in self._lanes.ask([messages.spent(budget) for budget in budgets]))

    def publish(self, topic: str, value: bytes) -> int:
        """See `State.publish`."""
        check_value(value)
        return int(self._ask(messages.publish(self._scripts.publish, topic, value)))

    def latest(self, topic: str) -> Announcement | None:
        """See `State.latest`."""
        kept = self._ask(messages.latest(topic))
        return None if kept is None else messages.announcement(kept)

    def close(self) -> None:
        """See `State.close`. Connections of event loops are closed by `aclose`."""
        self._lanes.close()

    async def aclose(self) -> None:
        """See `State.aclose`."""
        await self._lanes.aclose()

    def _ask(self, command: Command, *, repeatable: bool = True) -> Any:
        return self._lanes.ask([command], repeatable=repeatable)[0]

    def _questions(self, claims: Claims) -> list[Command]:
        """One script; on a cluster, where blocks may be on another node, each block is asked for beside it."""
        apart = self._address.cluster
        commands = [messages.block_time(key) for key in claims.blocks] if apart else []
        if claims.claims or (claims.blocks and not apart):
            commands.append(messages.admit(self._scripts.admit, claims, with_blocks=not apart))
        return commands

    def _judged(self, claims: Claims, answers: list[Any]) -> tuple[Admission, Command | None]:
        """The admission, and what gives back what a blocked call was granted on a cluster."""
        times = answers[: len(claims.blocks)] if self._address.cluster else []
        for key, left_ms in zip(claims.blocks, times, strict=False):
            if left_ms != messages.NO_KEY:
                return messages.blocked(key, max(left_ms, 0) / 1000), self._stray(claims, answers[-1])
        if not claims.claims and self._address.cluster:
            return Admission(granted=True), None
        return messages.admission(claims, answers[-1]), None

    def _stray(self, claims: Claims, answer: Any) -> Command | None:
        if not claims.claims or not messages.took(answer):
            return None
        return messages.settle(self._scripts.settle, Settlement(claims.call, claims.claims))

    def _after_fork(self) -> None:
        self._lanes.reset()


def _after_fork_in_child() -> None:
    for state in list(_states):
        state._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
