"""The instrumented process of `program.py`, as tests drive it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).parents[3]


class Batch(NamedTuple):
    """How many calls ended with which status, and the tokens that they took."""

    statuses: dict[int, int]
    tokens: int


class Process:
    """An instrumented process that calls `url`, with these keywords of `configure`."""

    def __init__(self, url: str, **settings: Any) -> None:
        self._words = [sys.executable, "-m", "tests.relay.stress.program", url, json.dumps(settings)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert self._heard() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.communicate(timeout=30)

    def calls(self, body: dict[str, Any], calls: int = 1, threads: int = 1, **labels: str) -> Batch:
        """Have it make calls."""
        assert self._process is not None
        assert self._process.stdin is not None
        told = {"body": body, "calls": calls, "threads": threads, "labels": labels}
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        found = self._heard()
        return Batch({int(status): count for status, count in found["statuses"].items()}, found["tokens"])

    def status(self, body: dict[str, Any], **labels: str) -> int:
        """How one call ends."""
        (status,) = self.calls(body, **labels).statuses
        return status

    def _heard(self) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())
