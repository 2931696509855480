"""Actions over the life of a process: what is imported, a file that changes, a fork, and an exit."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import runtime
from tests.actions.receiver import Receiver
from tests.forking import forked
from tests.keys.actions import hooked, told
from tests.keys.bench import ATTACK, Bench
from tests.test_aftermath import Late, send
from tests.waiting import becomes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.model import CallRecord
    from llmtrace_sdk.fake_provider import FakeProvider

ROOT = Path(__file__).parents[1]
FILE = "action_router: {{enabled: true, default_actions: [{}]}}\nreload_interval_s: 0.05\n"
CALL = f"""
import sys
import httpx
import llmtrace_sdk as llmtrace
from tests.keys.bench import Echo
from tests.transport.wire import URL, client

def call():
    body = {{"model": "gpt-4o", "messages": [{{"role": "user", "content": {ATTACK!r}}}]}}
    with client(httpx, "sync", Echo("fine")) as http:
        return http.post(URL, json=body).status_code
"""


@pytest.fixture
def bench(provider: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(provider, tmp_path, monkeypatch)


@pytest.fixture
def late() -> Iterator[Late]:
    made = Late()
    yield made
    made.gate.set()


@pytest.fixture(autouse=True)
def _no_faults_left_behind() -> Iterator[None]:
    yield
    runtime.faults.clear()


def python(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CALL + script], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(("settings", "expected"), [("", False), ("action_router={'enabled': True}", True)])
def test_nothing_of_the_actions_is_imported_without_need(settings: str, expected: bool) -> None:
    script = f"""
llmtrace.configure({settings})
assert call() == 200
assert llmtrace.flush(10)
print([name for name in sys.modules if name.startswith(("llmtrace_sdk.actions", "llmtrace_sdk.aftermath"))])
"""
    assert ("llmtrace_sdk.aftermath" in python(script)) is expected


def test_a_process_that_ends_waits_a_while_and_tells_its_records(late: Late) -> None:
    with Receiver(late) as receiver:
        script = f"""
from llmtrace_sdk import runtime
runtime.EXIT_FLUSH_S = 0.3
hook = {{"url": {receiver.url!r}, "timeout_ms": 60000, "max_attempts": 1}}
llmtrace.configure(action_router={{"enabled": True, "default_actions": ["webhook"], "webhook": hook}})
llmtrace.on_record(lambda record: print(record.actions[0].status, record.actions[0].detail))
print(call())
"""
        began = time.monotonic()
        assert python(script).split() == ["200", "dropped", "unfinished"]
        assert time.monotonic() - began < 20


def test_a_forked_child_tells_its_own_records_and_not_its_parents(
    bench: Bench, late: Late, records: list[CallRecord]
) -> None:
    with Receiver(late) as receiver:
        llmtrace.configure(**hooked(receiver, timeout_ms=30_000, max_attempts=1))
        send()
        receiver.wait()
        assert forked(lambda: _tells_its_own(records))()
        late.gate.set()
        assert llmtrace.flush(10)
    assert len(records) == 1


def _tells_its_own(records: list[CallRecord]) -> bool:
    llmtrace.shutdown(0.5)
    assert not records
    llmtrace.configure(action_router={"enabled": True})
    send()
    return llmtrace.flush(10) and len(records) == 1


def test_other_rules_of_a_file_take_effect(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "llmtrace.yaml"
    file.write_text(FILE.format("log"))
    llmtrace.configure(file)
    assert told(bench.again()) == {"log": "success"}
    first = runtime.current()._aftermath
    file.write_text(FILE.format("log") + "enforcement: {timeout_ms: 1900}\nmax_request_size_bytes: 1000000\n")
    becomes(1_000_000, lambda: runtime.current().settings.max_request_size_bytes)
    file.write_text(FILE.format("log, block_agent"))
    becomes({"log", "block_agent"}, lambda: set(told(bench.again())))
    file.write_text(FILE.format("log, no_such_action"))
    watcher = runtime.attending.watcher
    assert watcher is not None
    becomes(1, lambda: watcher.refused)
    assert set(told(bench.again())) == {"log", "block_agent"}
    file.write_text(FILE.format("log").replace("true", "false"))
    becomes({}, lambda: told(bench.again()))
    assert first is not None


def test_what_the_same_rules_have_begun_goes_on_after_a_reload(tmp_path: Path) -> None:
    file = tmp_path / "llmtrace.yaml"
    file.write_text(FILE.format("log"))
    llmtrace.configure(file)
    before = runtime.current()._aftermath
    file.write_text(FILE.format("log") + "max_request_size_bytes: 1000000\n")
    becomes(1_000_000, lambda: runtime.current().settings.max_request_size_bytes)
    assert runtime.current()._aftermath is before is not None


def test_calls_under_old_rules_are_told_under_old_rules(late: Late, records: list[CallRecord]) -> None:
    with Receiver(late) as receiver:
        llmtrace.configure(**hooked(receiver, timeout_ms=30_000, max_attempts=1))
        send()
        receiver.wait()
        llmtrace.configure()
        assert not records
        late.gate.set()
        assert llmtrace.flush(10)
    assert [each.name for each in records[0].actions] == ["webhook"]
    becomes([], lambda: [t.name for t in threading.enumerate() if t.name == "llmtrace-deliveries"])
