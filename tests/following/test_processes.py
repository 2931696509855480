"""One process announces, another follows: over a real Redis, and over HTTP from what stands for the relay."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any

from llmtrace_sdk.following import announce
from llmtrace_sdk.state.redis import RedisState

from .relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.state.redis_server import RedisServer

IN_FORCE_S = 1.0
"""Asserted of most changes: a machine that others keep busy takes longer now and then."""

BLOCK: dict[str, Any] = {"enforcement": {"mode": "block", "min_severity": "low"}}
LOG: dict[str, Any] = {"enforcement": {"mode": "log"}}
CHANGES = ((BLOCK, 400), (LOG, 200), (BLOCK, 400), ({}, 200), (BLOCK, 400))


def test_a_policy_announced_in_redis_is_in_force_in_another_process(
    server: RedisServer, follows: Callable[..., Any]
) -> None:
    state = RedisState(server.url, timeout_s=5)
    with follows(state={"url": server.url}) as program:
        program.becomes(200)
        took = []
        for policy, status in CHANGES:
            announced = time.time()
            announce(state, policy)
            took.append(program.becomes(status) - announced)
        assert median(took) < IN_FORCE_S, took
        assert program.end() == ["threads []"]
    state.close()


def test_two_processes_follow_one_relay(follows: Callable[..., Any]) -> None:
    with Relay() as relay, follows(relay=relay.url) as one, follows(relay=relay.url) as other:
        for each in (one, other):
            each.becomes(200)
        took = []
        for policy, status in CHANGES:
            announced = time.time()
            relay.announce(policy)
            took += [each.becomes(status) - announced for each in (one, other)]
        assert median(took) < IN_FORCE_S, took
        assert [each.end() for each in (one, other)] == [["threads []"]] * 2
        assert relay.connections == 2
        assert relay.statuses.count(200) == 2 * (1 + len(CHANGES))


def test_the_last_policy_outlives_a_redis_that_forgets_it(server: RedisServer, follows: Callable[..., Any]) -> None:
    state = RedisState(server.url, timeout_s=5)
    announce(state, BLOCK)
    with follows(state={"url": server.url}) as program:
        program.becomes(400)
        server.kill()
        time.sleep(1.2)
        server.start()
        state.block("other", 1)
        announced = time.time()
        announce(state, LOG)
        # nothing else was said before: the policy stayed in force while nobody announced it
        assert program.becomes(200) - announced > 0
    state.close()
