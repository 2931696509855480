"""The relay as people start it: a process of its own, with a configuration file, on a port that was free."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START_S = 30.0
_ADDRESS = re.compile(r"llmtrace relay on (https?://\S+)")


class RunningRelay:
    """`llmtrace relay` in a folder of its own, ready when entered. `config` becomes its file, `env` its environment.
    `serves`: what it answers with 200 when it is ready.
    """

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 1,
        env: dict[str, str] | None = None,
        serves: str = "/health",
        **config: Any,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "config.yaml"
        self._config: dict[str, Any] = {}
        self.configure(**config)
        self._workers = workers
        self._env = env or {}
        self._serves = serves
        self._log = folder / "relay.log"
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, **config: Any) -> None:
        """Write the file, or change keys of it."""
        self._config |= config
        self.file.write_text(json.dumps(self._config))  # JSON is YAML

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it serves."""
        command = [sys.executable, "-m", "llmtrace_relay", "--config", str(self.file)]
        command += ["--port", "0", "--workers", str(self._workers)]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("LLMTRACE_", "OTEL_"))}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, cwd=self.folder, env={**clean, **self._env}
            )
        try:
            self.url = self._address()
            self.until(lambda: _answers(f"{self.url}{self._serves}"))
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 20.0) -> int:
        """End it with a signal; gives its exit status."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            assert process.stdout is not None
            process.stdout.close()
        return status

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text()

    def until(self, holds: Callable[[], Any], timeout_s: float = START_S) -> Any:
        """Wait until something holds, and give it."""
        deadline = time.monotonic() + timeout_s
        while not (found := holds()):
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the relay ended with {self.process.returncode}:\n{self.log[-3000:]}")
            if time.monotonic() > deadline:
                raise AssertionError(f"that never came about; the relay said:\n{self.log[-3000:]}")
            time.sleep(0.01)
        return found

    def _address(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        said = b""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                piece = os.read(self.process.stdout.fileno(), 4096)
                said += piece
                found = _ADDRESS.search(said.decode())
                if found and said.endswith(b"\n"):
                    return found[1]
                if not piece:
                    break
        raise AssertionError(f"the relay did not start; it said {said!r} and:\n{self.log[-3000:]}")


def _answers(url: str) -> bool:
    import httpx

    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False
