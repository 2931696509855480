"""The fake provider as a context manager: in its own process, or in a thread of this one."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from .server import ANNOUNCEMENT, serve

if TYPE_CHECKING:
    from types import TracebackType

_START_S: Final = 20.0
_STOP_S: Final = 5.0


class _Host(Protocol):
    """Something that serves while it lives. `start` gives the port."""

    def start(self) -> int: ...
    def stop(self) -> None: ...


class FakeProvider:
    """Runs the fake provider while the context is open.

    `with FakeProvider() as fake: OpenAI(base_url=fake.url + "/v1", api_key="none")`

    The server is a process of its own, which also ends when this one dies; with `in_thread=True` it is a
    thread, which starts faster but shares this process's time. Raises RuntimeError when it does not start.
    """

    def __init__(self, *, in_thread: bool = False) -> None:
        self._host: _Host = _Thread() if in_thread else _Process()
        self.port = 0

    @property
    def url(self) -> str:
        """The server's root, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The server's process, None for a thread."""
        return self._host.pid if isinstance(self._host, _Process) else None

    def __enter__(self) -> Self:
        self.port = self._host.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._host.stop()

    def stats(self) -> dict[str, Any]:
        """The server's counters (see `state.State.stats`)."""
        return self._ask("GET", "/__fake__/stats")

    def reset(self) -> None:
        """Sets the server's counters to zero."""
        self._ask("POST", "/__fake__/reset")

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_STOP_S)
        try:
            connection.request(method, path)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()


class _Process:
    """A child that serves until its standard input is closed."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def start(self) -> int:
        package = __package__ or ""
        command = [sys.executable, "-m", package, "--port", "0", "--until-stdin-closes"]
        # -m looks in the working directory first, so the child finds this very package, installed or not.
        root = Path(__file__).parents[len(package.split("."))]
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True)  # noqa: S603
        line = self._first_line(self._child)
        if not line.startswith(ANNOUNCEMENT):
            self.stop()
            raise RuntimeError(f"the fake provider did not start within {_START_S:.0f} s")
        return int(line.rpartition(":")[2])

    @staticmethod
    def _first_line(child: subprocess.Popen[str]) -> str:
        assert child.stdout is not None
        too_late = threading.Timer(_START_S, child.kill)
        too_late.start()
        try:
            return child.stdout.readline()
        finally:
            too_late.cancel()
            too_late.join()

    def stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.close()
        for insist in (child.terminate, child.kill):
            try:
                child.wait(_STOP_S)
                break
            except subprocess.TimeoutExpired:
                insist()
        child.wait()
        child.stdout.close()


class _Thread:
    """A thread with a loop of its own."""

    def __init__(self) -> None:
        self._started = threading.Event()
        self._port = 0
        self._fault: OSError | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        self._thread = threading.Thread(target=self._run, name="fake-provider")
        self._thread.start()
        if not self._started.wait(_START_S) or not self._port:
            self.stop()
            raise RuntimeError("the fake provider did not start") from self._fault
        return self._port

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as fault:
            self._fault = fault
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(stop=self._stop, started=self._announce)

    def _announce(self, port: int) -> None:
        self._port = port
        self._started.set()

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if thread.is_alive() and self._port:
            self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(_STOP_S)
        self._port = 0
        self._started.clear()
