"""The load tools tell what is wrong with a server, and a bare proxy has nothing wrong with it."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from benchmarks.relay import contenders, load, report
from benchmarks.relay.answers import Answers
from benchmarks.relay.contenders import BARE, BLOCK, DIRECT, LOG, OFF
from benchmarks.relay.processes import Meter
from benchmarks.relay.questions import Questions
from benchmarks.relay.rounds import JSON, ONE, Rounds, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE = b"HTTP/1.1 200 OK\r\nconnection: close\r\nx-body-crc: d202ef8d\r\ncontent-length: 1\r\n\r\n"  # the CRC of a NUL
FAULTS = {
    "another body": (WHOLE + b"x", "changed"),
    "half an answer": (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "broken"),
    "no HTTP": (b"nothing that one could read\r\n\r\n", "broken"),
}


class Saying:
    """A server that says the same whatever it is asked, and closes the connection."""

    def __init__(self, words: bytes) -> None:
        self._words = words
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # when nobody listens any more
            while True:
                connection, _ = self._listening.accept()
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(self._words)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listening.close()


@pytest.mark.parametrize("name", FAULTS)
def test_the_load_tells_faults(name: str) -> None:
    words, counted = FAULTS[name]
    with Saying(words) as url:
        outcome = load.run(url, load.prepared(url, Questions(1), 3), 1)
    assert (outcome.errors, getattr(outcome, counted)) == (3, 3)


def test_the_load_takes_an_answer_that_is_right() -> None:
    with Saying(WHOLE + b"\0") as url:
        outcome = load.run(url, load.prepared(url, Questions(1), 3), 1)
    assert (outcome.errors, outcome.calls) == (0, 3)


@pytest.fixture(scope="module")
def servers() -> Iterator[list[contenders.Contender]]:
    with contenders.all_of([BARE]) as running:
        yield running


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("pace_ms", [0, 1])
def test_a_bare_proxy_changes_nothing(servers: list[contenders.Contender], stream: bool, pace_ms: int) -> None:
    for contender in servers:
        headers = {"X-Mock-Pace-Ms": str(pace_ms)}
        requests = load.prepared(contender.url, Questions(2), 120, stream=stream, headers=headers)
        outcome = load.run(contender.url, requests, 8)
        assert (outcome.calls, outcome.errors) == (120, 0)


def test_the_cpu_time_of_a_server_is_told(servers: list[contenders.Contender]) -> None:
    bare = servers[-1]
    requests = load.prepared(bare.url, Questions(3), 600)
    meter = Meter(bare.pid)
    outcome = load.run(bare.url, requests, 8)
    meter.settle()
    assert 0.01 < meter.seconds < 2 * outcome.seconds


def test_nothing_is_said_twice() -> None:
    answers, questions = Answers(1), Questions(1).bodies(stream=False)
    assert len({answers.whole() for _ in range(50)}) == len({next(questions) for _ in range(50)}) == 50
    assert 700 < len(answers.whole()) < 1400
    events = answers.events(20, usage=True)
    assert len(events) == 20
    assert events[-1].endswith(b"data: [DONE]\n\n")


def test_a_conversation_repeats_its_history() -> None:
    turns = Questions(1, kind="conversation", apart=2).messages()
    first, _, second = next(turns), next(turns), next(turns)
    assert second[: len(first)] == first
    assert len(second) == len(first) + 2


def row(seconds: float, *, left_s: float = 0, p50: float = 100) -> Row:
    return Row(calls=100, seconds=seconds, left_s=left_s, cpu_us=1, p50=p50, p99=1, first_p50=1, errors=0)


def test_work_left_behind_counts_as_time() -> None:
    assert row(1, left_s=1).rate == 50


def test_the_goals_are_about_the_right_contenders() -> None:
    seconds = {DIRECT: 0.1, BARE: 1.0, OFF: 1.5, LOG: 1.75, BLOCK: 2.0}
    p50 = {DIRECT: 100.0, BARE: 300.0, OFF: 400.0, LOG: 500.0, BLOCK: 600.0}
    running = [contenders.Contender(name, "", 0) for name in seconds]
    measured = {workload.title: Rounds(workload, running, 1) for workload in (JSON, ONE)}
    for name, took in seconds.items():
        measured[JSON.title].table[name] = [row(took)] * 3
        measured[ONE.title].table[name] = [row(1, p50=p50[name])] * 3
    told = {name: values[0] for name, values, _ in report.goals(measured)}
    assert told["relay, mode block: times the calls/s of the bare proxy"] == pytest.approx(0.5)
    assert told["relay, mode log: calls/s lost to guards, %"] == pytest.approx(100 * (1 - 1.5 / 1.75))
    assert told["relay, mode log: added p50 at one connection"] == pytest.approx(400)
    assert "mode block" in report.summary(measured)
    assert all(contenders.TITLES[name] in report.table(measured[JSON.title]) for name in seconds)
