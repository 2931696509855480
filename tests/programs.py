"""Programs that tests start: where they are, where they may listen, and their ends."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
_ENVIRONMENT = dict(os.environ)  # as it is before tests hide what of it is about llmtrace


def path_by(script: str, option: str, remedy: str) -> Path:
    """What a script of `scripts` prints with an option. Skips the calling test where there is nothing (exit status 3),
    with the script's reason; `remedy` says what the script is for without the option.

    Raises `subprocess.CalledProcessError` when the script itself is broken.
    """
    words = [SCRIPTS / script, option]
    found = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, env=_ENVIRONMENT)
    if found.returncode == 3:
        pytest.skip(f"{found.stderr.strip().splitlines()[-1]}; run scripts/{script} {remedy}")
    found.check_returncode()
    return Path(found.stdout.strip())


def free_port(most: int = 65_535) -> int:
    """A port of 127.0.0.1, `most` at the most, on which nobody listens."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as held:
            port: int = held.getsockname()[1]
        if port <= most:
            return port


def wait_or_kill(process: subprocess.Popen[Any], within_s: float) -> None:
    """Wait for the end of a process, and end it where it does not come in time."""
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended (Linux: /proc)."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False
