"""A real Jaeger v2 for the integration tests: one process, memory storage, free ports of 127.0.0.1 only."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from contextlib import ExitStack, closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from tests.programs import path_by, wait_or_kill

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

START_S = 30.0
STOP_S = 5.0
POLL_S = 0.05
START_ATTEMPTS = 3
LOG_TAIL_BYTES = 4000

# Everything Jaeger would open at a fixed port is left out (health check, zpages, sampling, Zipkin) or turned
# off (metrics at 8888); the gRPC query API cannot be left out, so the system picks its port.
CONFIG = """\
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [jaeger_storage_exporter]
  telemetry:
    metrics:
      level: none
extensions:
  jaeger_storage:
    backends:
      memory_store:
        memory:
          max_traces: 10000
  jaeger_query:
    enable_tracing: false
    storage:
      traces: memory_store
    http:
      endpoint: 127.0.0.1:{query_port}
    grpc:
      endpoint: 127.0.0.1:0
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{otlp_port}
exporters:
  jaeger_storage_exporter:
    trace_storage: memory_store
"""


def require_jaeger() -> Path:
    """Path of the Jaeger v2 binary that `scripts/jaeger.sh` finds; never builds one.

    Skips the calling test, with the script's own reason, when there is none (exit status 3).
    Raises `subprocess.CalledProcessError` when the script itself is broken.
    """
    return path_by("jaeger.sh", "--no-build", "to build one")


def flat(pairs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Jaeger's `[{"key", "type", "value"}]` (span tags, log fields, process tags) as a plain dict."""
    return {pair["key"]: pair["value"] for pair in pairs}


class JaegerServer:
    """Context manager around one Jaeger process.

    `binary` is a Jaeger v2 executable (`require_jaeger`); `directory` is an existing writable directory that
    receives `jaeger.yaml` and `jaeger.log` and is left to its owner (pytest's `tmp_path_factory` keeps them).
    Entering raises `RuntimeError`, with the end of the log, if Jaeger is not ready within
    `START_S` seconds in any of `START_ATTEMPTS` attempts (a free port may be taken before Jaeger binds it).
    """

    def __init__(self, binary: Path, directory: Path) -> None:
        self._binary = binary
        self._config = directory / "jaeger.yaml"
        self._log = directory / "jaeger.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._otlp_port = 0
        self._query_port = 0

    @property
    def otlp_endpoint(self) -> str:
        """Base URL for OTLP over HTTP; traces go to `<otlp_endpoint>/v1/traces`."""
        return f"http://127.0.0.1:{self._otlp_port}"

    @property
    def query_endpoint(self) -> str:
        """Base URL of the query API and the web page."""
        return f"http://127.0.0.1:{self._query_port}"

    @property
    def log_tail(self) -> str:
        """The last 4000 bytes that Jaeger logged."""
        logged = self._log.read_bytes() if self._log.exists() else b""
        return logged[-LOG_TAIL_BYTES:].decode(errors="replace")

    def traces(self, service: str, deadline_s: float = 15.0, *, min_spans: int = 1) -> list[dict[str, Any]]:
        """The traces of `service` (at most 1000), as soon as they hold `min_spans` spans altogether.

        A trace is Jaeger's JSON: `traceID`, `spans`, `processes`. Raises `TimeoutError` after `deadline_s`.
        """
        path = f"/api/traces?service={quote(service, safe='')}&limit=1000"
        return self._poll(path, deadline_s, min_spans)

    def trace(self, trace_id: str, deadline_s: float = 15.0, *, min_spans: int = 1) -> dict[str, Any]:
        """The trace with this id (32 hex digits), as soon as it holds `min_spans` spans.

        Raises `TimeoutError` after `deadline_s`.
        """
        path = f"/api/traces/{quote(trace_id, safe='')}"
        return self._poll(path, deadline_s, min_spans)[0]

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self._stop)
            for _ in range(START_ATTEMPTS):
                self._start()
                if self._becomes_ready():
                    undo.pop_all()
                    return self
                self._stop()
        raise RuntimeError(f"Jaeger did not start, end of {self._log}:\n{self.log_tail}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if error is not None:
            error.add_note(f"end of {self._log}:\n{self.log_tail}")

    def _start(self) -> None:
        self._otlp_port, self._query_port = _free_ports(2)
        self._config.write_text(CONFIG.format(otlp_port=self._otlp_port, query_port=self._query_port))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._binary, "--config", self._config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _becomes_ready(self) -> bool:
        deadline = time.monotonic() + START_S
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            if self._answers() and _listens(self._otlp_port):
                return True
            time.sleep(POLL_S)
        return False

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        wait_or_kill(process, STOP_S)

    def _answers(self) -> bool:
        try:
            return self._get("/api/services")[0] == HTTPStatus.OK
        except (OSError, HTTPException):
            return False

    def _poll(self, path: str, deadline_s: float, min_spans: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + deadline_s
        while True:
            status, body = self._get(path)
            traces: list[dict[str, Any]] = json.loads(body)["data"] or [] if status == HTTPStatus.OK else []
            spans = sum(len(trace["spans"]) for trace in traces)
            if spans >= min_spans:
                return traces
            if time.monotonic() > deadline:
                seen = f"HTTP {status}, {spans} of {min_spans} spans"
                raise TimeoutError(f"GET {path}: {seen}\n{self.log_tail}")
            time.sleep(POLL_S)

    # Not httpx: a test may have instrumented it, and its traces must hold the test's own calls alone.
    def _get(self, path: str) -> tuple[int, bytes]:
        with closing(HTTPConnection("127.0.0.1", self._query_port, timeout=5)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        return False


def _free_ports(count: int) -> list[int]:
    """Distinct free ports: all are held open until the last is known."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
