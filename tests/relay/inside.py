"""The relay in this process, on a thread: for what does not need a process of its own, since that takes seconds."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import uvicorn

from llmtrace_relay import command
from llmtrace_relay.app import Relay
from llmtrace_sdk import config, runtime, wiring

if TYPE_CHECKING:
    from pathlib import Path

START_S = 20.0
LOGGERS = (None, "llmtrace", "uvicorn", "uvicorn.error", "uvicorn.access")


class InsideRelay:
    """The relay with such a configuration, serving when entered. What it configures is this process's."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "relay.yaml"
        self.file.write_text(json.dumps({"storage": {"profile": "memory"}, **settings}))
        self.relay = Relay()
        self.url = ""
        self._before = os.environ.get("LLMTRACE_CONFIG")
        self._logging: list[tuple[logging.Logger, int, list[logging.Handler], bool]] = []
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        os.environ["LLMTRACE_CONFIG"] = str(self.file)
        self._logging = [
            (each, each.level, each.handlers[:], each.propagate) for each in map(logging.getLogger, LOGGERS)
        ]
        options = command._server(config.load()) | {"factory": False, "host": "127.0.0.1", "port": 0}
        self._server = uvicorn.Server(uvicorn.Config(self.relay, **options))
        self._thread = threading.Thread(target=self._server.run, name="relay")
        self._thread.start()
        deadline = time.monotonic() + START_S
        while not self._server.started:
            assert self._thread.is_alive(), "the relay did not start"
            assert time.monotonic() < deadline, "the relay does not start"
            time.sleep(0.005)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"{'https' if options.get('ssl_certfile') else 'http'}://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.should_exit = True
        self._thread.join()
        if self._before is None:
            os.environ.pop("LLMTRACE_CONFIG", None)
        else:
            os.environ["LLMTRACE_CONFIG"] = self._before
        for logger, level, shown, propagate in self._logging:
            logger.setLevel(level)
            logger.handlers[:] = shown
            logger.propagate = propagate
        wiring._relay = False
        runtime.shutdown()

    def until(self, holds: Any, timeout_s: float = 5.0) -> Any:
        """Wait until something holds, and give it."""
        deadline = time.monotonic() + timeout_s
        while not (found := holds()):
            assert time.monotonic() < deadline, "that never came about"
            time.sleep(0.01)
        return found
