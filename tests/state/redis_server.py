"""Real Redis servers for the tests: on free ports of 127.0.0.1, keeping nothing on disk, gone when the test is."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import redis

from tests.programs import free_port, path_by
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_ATTEMPTS = 3
SLOTS = 16384
LAST_PORT = 65_535 - 10_000  # the bus of a cluster is 10000 above


def require_redis() -> Path:
    """The server that `scripts/redis.sh` finds; skips the calling test, with the script's reason, where none is."""
    return path_by("redis.sh", "--no-get", "to get one")


class RedisServer:
    """One server. `more` are words of its command line."""

    def __init__(self, binary: Path, directory: Path, *more: str) -> None:
        self._binary = binary
        self._directory = directory
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.kill)
            for _ in range(START_ATTEMPTS):
                self.port = free_port(LAST_PORT)
                if self.start():
                    undo.pop_all()
                    return self
                self.kill()
        raise RuntimeError(f"Redis did not start: {(self._directory / 'log').read_text()}")

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> bool:
        """Start it (again), at the port that it has."""
        words = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
        ]
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._binary, *words, "--dir", self._directory, *self._more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return until(lambda: self._process is None or self._process.poll() is not None or self._answers()) and (
            self._process.poll() is None
        )

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def pause(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    @contextmanager
    def paused(self) -> Iterator[None]:
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def ask(self, *words: Any) -> Any:
        """What the server says to a command, on a connection of its own."""
        with redis.Redis(port=self.port, protocol=2, socket_timeout=10) as client:
            return client.execute_command(*words)

    def calls(self) -> dict[str, int]:
        """How often each command was called; inside a script too."""
        stats = self.ask("INFO", "commandstats")
        return {name.removeprefix("cmdstat_"): told["calls"] for name, told in stats.items()}

    def _answers(self) -> bool:
        with suppress(redis.RedisError, OSError):
            self.ask("CONFIG", "GET", "port")
            return True
        return False


class RedisCluster:
    """Three servers that are a cluster."""

    def __init__(self, binary: Path, directory: Path) -> None:
        self.nodes: list[RedisServer] = []
        for name in "abc":
            (directory / name).mkdir()
            options = (
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "2000",
                "--cluster-require-full-coverage",
                "no",
            )
            self.nodes.append(RedisServer(binary, directory / name, *options))
        self._undo = ExitStack()

    @property
    def url(self) -> str:
        return f"redis-cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes)}"

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for node in self.nodes:
                undo.enter_context(node)
            self._join()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _join(self) -> None:
        bounds = [0, SLOTS // 3, 2 * SLOTS // 3, SLOTS]
        for at, node in enumerate(self.nodes):
            node.ask("CLUSTER", "ADDSLOTSRANGE", bounds[at], bounds[at + 1] - 1)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
            if at:
                self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port)
        if not until(lambda: all(self._is_whole(node) for node in self.nodes)):
            raise RuntimeError("the cluster did not come together")

    def _is_whole(self, node: RedisServer) -> bool:
        told = node.ask("CLUSTER", "INFO")
        facts = told if isinstance(told, dict) else dict(line.split(":") for line in told.decode().split())
        return (
            facts["cluster_state"] == "ok"
            and facts["cluster_slots_ok"] == str(SLOTS)
            and (facts["cluster_known_nodes"] == "3")
        )
