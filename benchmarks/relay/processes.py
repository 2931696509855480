"""Servers as processes on a core of their own, and the CPU time that they take (Linux: /proc)."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[-1], CORES[0]
START_S = 120.0
STOP_S = 15.0
ANSWER_S = 10.0
QUIET_S = 0.3
SETTLE_S = 60.0


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Whatever is started meanwhile stays on that core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def server(
    command: Sequence[str], url: str, folder: Path, *, core: int, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """A server that answers `url`, for as long as it is needed; gives its process id.

    What it prints goes into `folder`. Raises RuntimeError, with the end of that, when it does not come up.
    """
    log = folder / "output.log"
    with log.open("wb") as output, on_core(core):
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=_direct(environment or {}), cwd=folder
        )
    try:
        if not _came_up(process, url):
            raise RuntimeError(f"{command[0]} did not answer {url}:\n{log.read_text('utf-8', 'replace')[-2000:]}")
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _direct(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a server that finds this project, and its upstream without a proxy between."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**kept, "PYTHONPATH": str(ROOT), **environment}


def _came_up(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(url):
            return True
        time.sleep(0.1)
    return False


def _answers(url: str) -> bool:
    try:
        return ask(url)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def ask(url: str) -> tuple[int, bytes]:
    """Status and body of a GET. Raises OSError or HTTPException when there is no answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=ANSWER_S)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Meter:
    """The CPU time of a process and all that descend from it, since the meter was made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began = cpu_seconds(pid)

    @property
    def seconds(self) -> float:
        return cpu_seconds(self._pid) - self._began

    def settle(self) -> float:
        """Wait until what was left to do in the background is done; gives how many seconds that took."""
        began = busy = time.monotonic()
        before = cpu_seconds(self._pid)
        while time.monotonic() - busy < QUIET_S and time.monotonic() - began < SETTLE_S:
            time.sleep(0.02)
            now = cpu_seconds(self._pid)
            if now - before > 1.5 * TICK_S:
                before, busy = now, time.monotonic()
        return busy - began


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, of its children that ended, and of those that live. 0 when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) * TICK_S + sum(map(cpu_seconds, children(pid)))


def children(pid: int) -> list[int]:
    """The processes that a process started and that live."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
