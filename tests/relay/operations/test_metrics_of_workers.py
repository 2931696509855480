"""Several processes count in one folder, and each of them tells the sums."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmtrace_relay import metric_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
OF = {"provider": "openai", "model": "gpt-4o-mini"}


class Worker:
    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, metric_folder.VARIABLE: str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.relay.operations.counting"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, command: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        print(command, file=self.process.stdin, flush=True)
        answer: str = json.loads(self.process.stdout.readline())
        return answer

    def value(self, name: str, **labels: str) -> float | None:
        for family in text_string_to_metric_families(self.ask("render")):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        return None

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            with suppress(BrokenPipeError):
                pipe.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "metrics"
    made.mkdir()
    return made


@pytest.fixture
def workers(folder: Path) -> Iterator[list[Worker]]:
    with ExitStack() as ending:
        started = [Worker(folder) for _ in range(2)]
        for worker in started:
            ending.callback(worker.end)
        yield started


def test_each_worker_tells_the_sums_of_all(workers: list[Worker], folder: Path) -> None:
    first, second = workers
    for worker in workers:
        worker.ask("observe 0")  # now it is there
    assert first.value("llmtrace_storage_up") == 1
    first.ask("observe 3")
    second.ask("observe 4")
    first.ask("active 2")
    second.ask("active 1")
    second.ask("pending 5")
    for worker in workers:
        assert worker.value("llmtrace_requests_total", **OF, status_code="200") == 7
        assert worker.value("llmtrace_request_duration_seconds_count", **OF) == 7
        assert worker.value("llmtrace_request_duration_seconds_bucket", **OF, le="+Inf") == 7
        assert worker.value("llmtrace_active_connections") == 3
        assert worker.value("llmtrace_spool_pending") == 5
        assert worker.value("llmtrace_storage_up") == 1
    memory = first.value("process_resident_memory_bytes")
    assert memory is not None
    assert memory > 20 << 20

    # one is killed: what it had under way is gone, what it counted stays, in a file that is all the dead have
    second.process.send_signal(signal.SIGKILL)
    second.process.wait()
    assert first.value("llmtrace_requests_total", **OF, status_code="200") == 7
    assert first.value("llmtrace_request_duration_seconds_count", **OF) == 7
    assert first.value("llmtrace_active_connections") == 2
    assert not list(folder.glob(f"*_{second.process.pid}.db"))
    assert {path.name for path in folder.glob("*_gone.db")} == {"counter_gone.db", "histogram_gone.db"}

    third = Worker(folder)
    try:
        third.ask("observe 1")
        assert first.value("llmtrace_requests_total", **OF, status_code="200") == 8
    finally:
        third.end()
    assert first.value("llmtrace_requests_total", **OF, status_code="200") == 8
    assert len(list(folder.glob("*.db"))) <= 8


def test_a_file_that_was_not_finished_hides_nothing(folder: Path) -> None:
    worker = Worker(folder)
    try:
        worker.ask("observe 2")
        (folder / "counter_999999999.db").write_bytes(b"\x01")
        assert worker.value("llmtrace_requests_total", **OF, status_code="200") == 2
        assert not (folder / "counter_999999999.db").exists()
    finally:
        worker.end()


def run(code: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own: what is imported decides."""
    return subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "made")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_folder_is_made_emptied_and_removed(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from llmtrace_relay import metric_folder
assert "prometheus_client" not in sys.modules
folder = Path(sys.argv[1])
folder.mkdir()
(folder / "counter_1.db").write_bytes(b"x")
assert metric_folder.prepare(folder) == folder == metric_folder.shared()
assert os.listdir(folder) == []
from llmtrace_relay.metrics import Metrics
metrics = Metrics()
metrics.refused(401, "auth")
assert b'llmtrace_refused_requests_total{reason="auth",status_code="401"} 1.0' in metrics.render()[0]
assert metric_folder.prepare(folder) == folder  # it is in files already, so nothing is too late
metric_folder.remove(folder)
assert not folder.exists() and metric_folder.shared() is None
temporary = metric_folder.prepare()
assert temporary.stat().st_mode & 0o777 == 0o700
metric_folder.remove(temporary)
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_it_says_when_it_comes_too_late(tmp_path: Path) -> None:
    code = """
import prometheus_client
from llmtrace_relay import metric_folder
metric_folder.prepare()
"""
    done = run(code, tmp_path)
    assert done.returncode == 1
    assert "call prepare() before it is imported" in done.stderr


def test_without_a_folder_there_is_nothing_to_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(metric_folder.VARIABLE, raising=False)
    assert metric_folder.shared() is None
    metric_folder.forget(os.getpid())
