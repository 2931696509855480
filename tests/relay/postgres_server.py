"""A real PostgreSQL server for the tests: on a free port of 127.0.0.1, careless of crashes of the machine, gone
when the test is."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg
from benchmarks.relay.processes import children

from tests.programs import free_port, is_alive, path_by
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNERS = ("postgres", "nobody")
OPTIONS = """
listen_addresses=127.0.0.1 unix_socket_directories= fsync=off full_page_writes=off
shared_buffers=16MB max_connections=60 autovacuum=off
""".split()


def require_postgres() -> Path:
    """The programs that `scripts/postgres.sh` finds; skips the calling test, saying why, where there are none."""
    return path_by("postgres.sh", "--no-get", "to get one")


class PostgresServer:
    """One server, with a superuser `llmtrace` who needs no password."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()
        self.port = 0

    def __enter__(self) -> Self:
        # not pytest's folder: it is closed to the user that the server runs as
        self._folder = Path(tempfile.mkdtemp(prefix="llmtrace-postgres-"))
        self.port = free_port()
        try:
            if os.getuid() == 0:
                owner = _owner()
                os.chown(self._folder, owner.pw_uid, owner.pw_gid)
            self._make()
            assert self.start(), f"PostgreSQL did not start: {self._log()}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://llmtrace:secret-of-the-test@127.0.0.1:{self.port}/{database}"

    def start(self) -> bool:
        """Start it (again), at the port that it has."""
        words = [word for option in (*OPTIONS, f"port={self.port}") for word in ("-c", option)]
        self._process = self._popen("postgres", "-D", self._folder / "data", *words)
        return until(lambda: self._process is None or self._process.poll() is not None or self._answers()) and (
            self._process.poll() is None
        )

    def kill(self) -> None:
        """End it at once, with all of its processes, as `kill -9` does."""
        process, self._process = self._process, None
        if process is None:
            return
        started = children(process.pid)
        process.kill()
        process.wait()
        for child in started:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        until(lambda: not any(is_alive(child) for child in started))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """All of its processes hang, while the system goes on to take what is sent to them."""
        assert self._process is not None
        stopped = [self._process.pid, *children(self._process.pid)]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    def run(self, statement: str, database: str = "postgres") -> list[Any]:
        """What comes of a statement, on a connection of its own."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _make(self) -> None:
        words = ["--no-sync", "--auth=trust", "--username=llmtrace", "--encoding=UTF8", "--locale=C.UTF-8"]
        assert self._popen("initdb", "-D", self._folder / "data", *words).wait(60) == 0, self._log()

    def _popen(self, program: str, *words: str | Path) -> subprocess.Popen[bytes]:
        who: dict[str, Any] = {}
        if os.getuid() == 0:  # the server refuses to run as root
            owner = _owner()
            who = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._programs / program, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                **who,
            )

    def _log(self) -> str:
        return (self._folder / "log").read_text()[-1000:]

    def _answers(self) -> bool:
        with suppress(psycopg.Error):
            return self.run("SELECT 1") == [(1,)]
        return False


def _owner() -> pwd.struct_passwd:
    for name in OWNERS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError(f"none of the users {OWNERS} exists, and PostgreSQL does not run as root")
