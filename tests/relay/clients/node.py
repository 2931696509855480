"""A Node process that makes calls with the vendors' own SDKs (`calls.mjs`)."""

from __future__ import annotations

import json
import os
import select
import subprocess
from pathlib import Path
from typing import Any, Self

from tests.programs import path_by, wait_or_kill

PROGRAM = Path(__file__).with_name("calls.mjs")
CALL_S = 30.0


def require_clients() -> Path:
    """The folder that `scripts/node_clients.sh` finds; skips the calling test, with its reason, where there is none."""
    return path_by("node_clients.sh", "--no-get", "to get them")


class Node:
    """The process; one call at a time."""

    def __init__(self, clients: Path) -> None:
        proxies = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
        clean = {name: value for name, value in os.environ.items() if name.upper() not in proxies}
        self._process = subprocess.Popen(
            ["node", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=clean | {"NODE_CLIENTS": str(clients)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        wait_or_kill(self._process, 5)
        self._process.stdout.close()

    def call(self, client: str, base: str, call: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Make a call; gives what the program got, or `error`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"client": client, "base": base, "call": call, "body": body, **more}
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        assert select.select([self._process.stdout], [], [], CALL_S)[0], "the call does not end"
        got: dict[str, Any] = json.loads(self._process.stdout.readline())
        return got
