"""Redis goes away, hangs, comes back, refuses: callers learn it in time, and learn nothing else."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from llmtrace_sdk.core.claims import Settlement
from llmtrace_sdk.errors import ConfigError, StateUnavailable
from llmtrace_sdk.state._breaker import Breaker
from llmtrace_sdk.state.redis import RedisState
from tests.programs import free_port
from tests.waiting import until

from .test_semantics import ask, budget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .redis_server import RedisServer

SECRET = "s3cr3t-pw"
SOON_S = 1.0
"""Far above what the time-outs allow, far below a call that waits without one."""


@contextmanager
def unavailable(reason: str) -> Iterator[None]:
    begun = time.monotonic()
    with pytest.raises(StateUnavailable) as raised:
        yield
    assert raised.value.reason == reason
    assert raised.value.__cause__ is None
    assert time.monotonic() - begun < SOON_S


@pytest.fixture
def state(server: RedisServer) -> Iterator[RedisState]:
    state = RedisState(server.url, failures=3, rest_s=0.3)
    yield state
    state.close()


def works(state: RedisState) -> bool:
    try:
        return state.latest("x") is None
    except StateUnavailable:
        return False


def test_nobody_listens(tag: str) -> None:
    state = RedisState(f"redis://127.0.0.1:{free_port()}", failures=3, rest_s=60)
    for _ in range(3):
        with unavailable("connection"):
            ask(state, "a", budget(tag, 1, 2))
    begun = time.perf_counter()
    for _ in range(100):
        with unavailable("resting"):
            ask(state, "a", budget(tag, 1, 2))
    assert time.perf_counter() - begun < 0.5
    state.close()


def test_a_cluster_where_nobody_listens(tag: str) -> None:
    url = f"redis-cluster://127.0.0.1:{free_port()},127.0.0.1:{free_port()}"
    state = RedisState(url)
    with unavailable("connection"):
        ask(state, "a", budget(tag, 1, 2))
    state.close()


def test_it_hangs_and_goes_on(server: RedisServer, state: RedisState, tag: str) -> None:
    claim = budget(tag, 10, 100)
    assert ask(state, "a", claim).granted
    with server.paused():
        with unavailable("timeout"):
            ask(state, "b", claim)
        with unavailable("timeout"):  # on a new connection, which the system takes for it
            ask(state, "c", claim)
        with unavailable("timeout"):
            state.settle([Settlement("a", (claim,), (1,))])
        with unavailable("resting"):
            ask(state, "d", claim)
    assert until(lambda: works(state))
    # what it was asked while it hung may have been done: asked again, nothing is taken twice
    ask(state, "b", claim)
    ask(state, "c", claim)
    state.settle([Settlement("a", (claim,), (1,))])
    assert state.spent([claim]) == (21,)


def test_it_dies_and_comes_back_empty(server: RedisServer, state: RedisState, tag: str) -> None:
    claim = budget(tag, 10, 100)
    ask(state, "a", claim)
    version = state.publish("policy", b"one")
    server.kill()
    with unavailable("connection"):
        ask(state, "a", claim)
    server.start()
    assert until(lambda: works(state))
    state.settle([Settlement("a", (claim,), (30,))] * 2)
    assert state.spent([claim]) == (30,)
    assert state.latest("policy") is None
    assert state.publish("policy", b"one") > version


def test_a_restart_between_two_calls_is_not_noticed(server: RedisServer, state: RedisState, tag: str) -> None:
    assert ask(state, "a", budget(tag, 10, 100)).granted
    server.kill()
    server.start()
    assert ask(state, "a", budget(tag, 10, 100)).granted
    server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert ask(state, "b", budget(tag, 10, 100)).spent == (20,)


@pytest.mark.slow
def test_restarts_under_load(server: RedisServer, tag: str) -> None:
    state = RedisState(server.url, failures=3, rest_s=0.1)
    claim, done = budget(tag, 1, None), threading.Event()
    longest, wrong, reasons = [], [], set()

    def hammer(at: int) -> None:
        number, slowest = 0, 0.0
        while not done.is_set():
            begun, number = time.monotonic(), number + 1
            try:
                ask(state, f"{at} {number}", claim)
                state.settle([Settlement(f"{at} {number}", (claim,), (1,))])
            except StateUnavailable as error:
                reasons.add(error.reason)
            except BaseException as error:
                wrong.append(error)
            slowest = max(slowest, time.monotonic() - begun)
        longest.append(slowest)

    threads = [threading.Thread(target=hammer, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        assert until(lambda: works(state))
        time.sleep(0.2)
        server.kill()
        time.sleep(0.2)
        server.start()
        with server.paused():
            time.sleep(0.3)
    done.set()
    for thread in threads:
        thread.join(20)
    assert wrong == []
    assert reasons <= {"connection", "timeout", "resting", "loading", "busy"}
    assert max(longest) < 2 * SOON_S
    assert until(lambda: works(state))
    state.close()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), "oom"),
        (("REPLICAOF", "127.0.0.1", "1"), "readonly"),
        (("CONFIG", "SET", "requirepass", SECRET), "auth"),
    ],
)
def test_it_refuses(server: RedisServer, tag: str, words: tuple[str, ...], reason: str) -> None:
    server.ask(*words)
    state = RedisState(server.url)
    with unavailable(reason):
        ask(state, "a", budget(tag, 1, 2))
    state.close()


def test_a_write_that_is_refused_leaves_nothing_half_done(server: RedisServer, state: RedisState, tag: str) -> None:
    claims = (budget(tag, 1, 9), budget(tag, 1, 9, name="c"))
    server.ask("ZADD", f"llmtrace:{tag}:c:{claims[1].start}", 1, "x")
    with unavailable("wrongtype"):
        ask(state, "a", *claims)
    assert state.spent([claims[0]]) == (0,)


def test_too_many_at_once(server: RedisServer, tag: str) -> None:
    state = RedisState(server.url, connections=1, timeout_s=0.2, failures=1000)
    with server.paused():
        first = threading.Thread(target=works, args=(state,))
        first.start()
        assert until(lambda: state._lanes._turns._value == 0)
        reasons = set()
        for _ in range(2):
            with pytest.raises(StateUnavailable) as raised:
                ask(state, "a", budget(tag, 1, 2))
            reasons.add(raised.value.reason)
    first.join()
    assert reasons <= {"busy", "timeout"}
    state.close()


def test_the_password_shows_nowhere(server: RedisServer, tag: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.ask("CONFIG", "SET", "requirepass", SECRET)
    place = f"127.0.0.1:{server.port}"
    shown = []
    for url in (
        f"redis://:{SECRET}-wrong@{place}",
        f"redis-cluster://u:{SECRET}@{place}",
        f"rediss://:{SECRET}@{place}",
    ):
        state = RedisState(url)
        try:
            ask(state, "a", budget(tag, 1, 2))
        except StateUnavailable as error:
            shown += traceback.format_exception(error)
        shown += [repr(state), repr(state._lanes), repr(state._address), str(state)]
        state.close()
    assert SECRET not in "".join((*shown, caplog.text))
    with_it = RedisState(f"redis://:{SECRET}@{place}")
    assert ask(with_it, "a", budget(tag, 1, 2)).granted
    with_it.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://host",
        "redis://",
        f"redis://:{SECRET}/x@host",
        f"redis://:{SECRET}#@host",
        f"redis://{SECRET}:port@[host",
        f"redis://h:{SECRET}",
        "redis://a,b",
        "redis://host/name",
        "redis://host?socket_timeout=100",
        f"redis://host?{SECRET}",
        "redis-cluster://a:1,:2",
        "redis://host:99999",
    ],
)
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        RedisState(url)
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_closed_is_closed(server: RedisServer, tag: str) -> None:
    state = RedisState(server.url)
    ask(state, "a", budget(tag, 1, 2))
    state.close()
    state.close()
    with unavailable("closed"):
        ask(state, "a", budget(tag, 1, 2))


def test_the_breaker_lets_one_pass_each_while() -> None:
    now = 0.0
    breaker = Breaker(2, 1.0, lambda: now)
    breaker.failed()
    assert breaker.lets_pass()
    breaker.failed()
    assert not breaker.lets_pass()
    now = 1.0
    assert [breaker.lets_pass() for _ in range(3)] == [True, False, False]
    now = 2.0
    assert breaker.lets_pass()
    breaker.succeeded()
    assert all(breaker.lets_pass() for _ in range(3))
    breaker.failed()
    assert breaker.lets_pass()
