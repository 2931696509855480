"""Connections and transactions: what is asked of a database, and what comes of it when it is not there."""

from __future__ import annotations

import os
import threading
import time
import weakref
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from llmtrace_relay.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

T = TypeVar("T")

ANSWER_S: Final = 10.0
LONG_ANSWER_S: Final = 30.0
ATTEMPTS: Final = 3
AGAIN_CODES: Final = frozenset({"40001", "40P01", "23505"})
"""SQLSTATEs of what may succeed when it is done anew: serialization failure, deadlock, and two who were first."""
REFUSED_CODES: Final = ("22", "23", "54")
"""Classes of SQLSTATEs that are about the values: data, integrity, limits of the program."""

UNDEFINED_TABLE: Final = "42P01"

_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_of_the_parent: list[Any] = []


class Database:
    """An engine, and how to use it. `prepare` makes the tables; it is called before anything else, until it succeeds.

    `one_at_a_time`: all share one connection (a database in memory).
    """

    def __init__(self, engine: Engine, prepare: Callable[[Engine], None], *, one_at_a_time: bool = False) -> None:
        self.engine = engine
        self.kind: Literal["sqlite", "postgresql"] = "sqlite" if engine.dialect.name == "sqlite" else "postgresql"
        self._prepare = prepare
        self._one_at_a_time = one_at_a_time
        self._prepared = False
        self._reset_locks()
        _databases.add(self)

    def prepare(self) -> None:
        """Make the tables unless that was done. Raises `StoreUnavailable`."""
        if self._prepared:
            return
        with self._preparing:
            if not self._prepared:
                try:
                    self._prepare(self.engine)
                except SQLAlchemyError as error:
                    raise unavailable(error, self.engine) from None
                self._prepared = True

    def read(self, work: Callable[[Connection], T], limit_s: float = ANSWER_S) -> T:
        """Do something within a transaction that changes nothing. Raises `StoreUnavailable`."""
        with self._reading:
            return self._do(work, limit_s, writes=False)

    def write(self, work: Callable[[Connection], T], limit_s: float = ANSWER_S) -> T:
        """Do something within a transaction. It is done anew, so must bear that, when another was in its way, or the
        connection turns out to be gone. Raises `StoreUnavailable`.
        """
        with self._writing:
            return self._do(work, limit_s, writes=True)

    def close(self) -> None:
        """Let go of the connections, when nobody writes any more: SQLite's must not be closed under anybody."""
        with self._writing:
            self.engine.dispose()

    def _do(self, work: Callable[[Connection], T], limit_s: float, *, writes: bool) -> T:
        self.prepare()
        deadline = time.monotonic() + limit_s
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self.engine.connect().execution_options(**self._options(writes=writes)) as connection:
                    self._limit(connection, deadline)
                    with connection.begin():
                        return work(connection)
            except SQLAlchemyError as error:
                if _code(error) == UNDEFINED_TABLE:  # somebody has begun anew with an empty database
                    self._prepared = False
                if attempt == ATTEMPTS or time.monotonic() > deadline or not _worth_another(error):
                    raise unavailable(error, self.engine) from None
        raise AssertionError("the last attempt returns or raises")

    def _options(self, *, writes: bool) -> dict[str, Any]:
        if writes or self.kind == "sqlite":
            return {"llmtrace_writes": writes}
        return {"isolation_level": "REPEATABLE READ"}  # a page and its total are of one moment, as in SQLite

    def _limit(self, connection: Connection, deadline: float) -> None:
        if self.kind == "postgresql":
            driver: Any = connection.connection.driver_connection
            driver.deadline = deadline

    def _reset_locks(self) -> None:
        self._preparing = threading.RLock()
        one = threading.RLock()
        self._writing: AbstractContextManager[Any] = one if self.kind == "sqlite" else nullcontext()
        self._reading: AbstractContextManager[Any] = one if self._one_at_a_time else nullcontext()

    def _after_fork(self) -> None:
        # SQLite connections must not be used, nor closed, on the other side of a fork
        _of_the_parent.append(self.engine.pool)
        self.engine.dispose(close=False)
        self._reset_locks()


def unavailable(error: SQLAlchemyError, engine: Engine) -> StoreUnavailable:
    """What is told of an error: its kind, and for one of connecting its first line; never values or passwords."""
    if not isinstance(error, DBAPIError):
        return StoreUnavailable(f"the database cannot be used: {type(error).__name__}")
    origin, code = error.orig, _code(error)
    about = " ".join(each for each in (type(origin).__name__, code) if each)
    if error.statement is None:  # of connecting: there are no values in its message yet
        about = f"{about}: {_first_line(origin, engine)}"
    refused = isinstance(error, DataError | IntegrityError) or (code or "").startswith(REFUSED_CODES)
    if refused and code not in AGAIN_CODES:
        return StoreUnavailable(f"the database refuses what it is to keep ({about})", refused=True)
    return StoreUnavailable(f"the database did not do what was asked ({about}); see that it runs and can be reached")


def _first_line(origin: BaseException | None, engine: Engine) -> str:
    lines = str(origin).strip().splitlines() or [""]
    password = engine.url.password
    return lines[0].replace(str(password), "***") if password else lines[0]


def _code(error: SQLAlchemyError) -> str | None:
    """The SQLSTATE, or SQLite's name of the error."""
    origin = getattr(error, "orig", None)
    return getattr(origin, "sqlstate", None) or getattr(origin, "sqlite_errorname", None)


def _worth_another(error: SQLAlchemyError) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    if _code(error) in AGAIN_CODES or isinstance(error, IntegrityError):
        return True
    return error.connection_invalidated and error.statement is not None


def _after_fork_in_child() -> None:
    for database in list(_databases):
        database._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
