"""A connection to PostgreSQL that gives up on a server that is there but does not answer.

The server's own `statement_timeout` is of no use when the server itself hangs, nor are TCP's time-outs: the kernel goes
on acknowledging.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import psycopg

if TYPE_CHECKING:
    from collections.abc import Generator

INTERVAL_S: Final = 0.5


class LimitedConnection(psycopg.Connection[Any]):
    """`deadline`: until when, on the monotonic clock, what is asked must be answered; None for ever."""

    deadline: float | None = None

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **named: Any) -> Any:
        """Wait for an answer. Raises `psycopg.OperationalError`, with the connection closed, after the deadline."""
        if self.deadline is None:
            return super().wait(gen, *args, **named)
        named.pop("interval", None)
        return super().wait(self._limited(gen, self.deadline), INTERVAL_S, *args[1:], **named)

    def _limited(self, gen: Generator[Any, Any, Any], deadline: float) -> Generator[Any, Any, Any]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server did not answer in time")
                wanted = gen.send(ready)
        except StopIteration as ended:
            return ended.value
