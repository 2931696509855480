from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_sdk import following as followers
from llmtrace_sdk import runtime
from tests.state.redis_server import RedisServer, require_redis

from .relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def redis_binary() -> Path:
    return require_redis()


@pytest.fixture
def server(redis_binary: Path, tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(redis_binary, tmp_path) as running:
        yield running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Followers look often."""
    monkeypatch.setattr(followers, "INTERVAL_S", 0.02)


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay() as running:
        yield running
        runtime.shutdown()


@pytest.fixture(autouse=True)
def _no_faults_left_behind() -> Iterator[None]:
    yield
    runtime.shutdown()
    runtime.faults.clear()


class Program:
    """A process of its own that makes calls all the time (`program.py`)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def becomes(self, status: int) -> float:
        """When its calls begin to end like that, in seconds since 1970."""
        assert self._process.stdout is not None
        while words := self._process.stdout.readline().split():
            if words[1] == str(status):
                return float(words[0])
        raise AssertionError(f"the process ended before its calls ended with {status}")

    def end(self) -> list[str]:
        """What it says when it is told to end."""
        out, _ = self._process.communicate(timeout=30)
        return str(out).splitlines()


@contextmanager
def following(**settings: Any) -> Iterator[Program]:
    """A process with these keywords of `configure`."""
    words = [sys.executable, "-m", "tests.following.program", json.dumps(settings)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield Program(process)
        finally:
            process.kill()


@pytest.fixture
def follows() -> Callable[..., Any]:
    """Starts such processes."""
    return following
