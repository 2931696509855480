"""Two relays and an instrumented process that share Redis: blocks, budgets and rates are one for all of them."""

from __future__ import annotations

import json
import threading
import time
import uuid
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from tests.relay.running import RunningRelay
from tests.state.redis_server import RedisServer, require_redis

from .books import metric, seconds_until
from .load import INJECTION, Client, Kind, Load, chat, fault_counts, percentile
from .processes import Batch, Process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmtrace_sdk.fake_provider import FakeProvider

    from .load import Call

pytestmark = pytest.mark.slow

REFUSED_HERE = 400
"""What an instrumented process is told of a call that is blocked."""
BUDGET = 6_000
RESERVED = 150
"""What a call takes of the budget at first, at most."""
RATE, BURST = 10, 30
CLIENTS, THREADS = 4, 4
SLOWEST_S = 2.0
HELLO = Kind("hello", body=chat(max_tokens=100))
SHORT = Kind("short", body=chat(max_tokens=1))
"""A call that takes more than it says; nobody can know before."""
FREE = Kind("free", body=chat(max_tokens=100), scenario="status=500")
"""A call that takes nothing in the end."""
OFFENCE = Kind("offence", body=chat(INJECTION, max_tokens=100))


def tenant_of(key: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, key))


RATED = "sk-rated"
SHARED: dict[str, Any] = {
    "enforcement": {
        "mode": "flag",
        "min_severity": "medium",
        "min_confidence": 0.0,
        "categories": [{"finding_type": "prompt_injection", "action": "flag"}],
    },
    "action_router": {
        "enabled": True,
        "default_actions": [],
        "rules": [
            {
                "finding_type": "prompt_injection",
                "min_severity": "medium",
                "min_confidence": 0.0,
                "actions": ["block_ip", "block_session", "block_agent"],
            }
        ],
        **{f"{each}_block": {"ttl_seconds": 60, "max_offenses": 1} for each in ("ip", "session", "agent")},
    },
    "rate_limiting": {
        "enabled": True,
        "requests_per_second": 0,
        "tenant_overrides": {tenant_of(RATED): {"requests_per_second": RATE, "burst_size": BURST}},
    },
    "cost_caps": {"enabled": True, "default_budget_caps": [{"window": "monthly", "hard_limit_tokens": BUDGET}]},
}


class Party(NamedTuple):
    """Who shares."""

    redis: RedisServer
    relays: tuple[RunningRelay, RunningRelay]
    process: Process


@pytest.fixture(scope="module")
def party(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    folder = tmp_path_factory.mktemp("party")
    with ExitStack() as ending:
        redis = ending.enter_context(RedisServer(require_redis(), folder))
        settings = {**SHARED, "state": {"url": redis.url, "timeout_ms": 500}}
        relays = [
            RunningRelay(folder / str(at), upstream_url=provider.url, storage={"profile": "memory"}, **settings)
            for at in range(2)
        ]
        for relay in relays:
            ending.enter_context(relay)
        process = ending.enter_context(Process(provider.url, **settings))
        yield Party(redis, (relays[0], relays[1]), process)


def client(relay: RunningRelay, key: str, **headers: str) -> closing[Client]:
    return closing(Client(relay.url, authorization=f"Bearer {key}", **headers))


def tokens(calls: list[Call]) -> int:
    return sum(json.loads(call.body)["usage"]["total_tokens"] for call in calls if call.status == 200)


def test_an_address_that_offends_at_one_relay_is_blocked_at_the_other(party: Party) -> None:
    first, second = party.relays
    fields = {"x_forwarded_for": "203.0.113.7"}
    with client(first, "sk-ip", **fields) as offender, client(second, "sk-ip", **fields) as same:
        assert same.call(HELLO).status == 200
        assert offender.call(OFFENCE).status == 200
        took_s = seconds_until(lambda: same.call(HELLO).status == 403)
    with client(second, "sk-ip", x_forwarded_for="203.0.113.8") as other:
        assert other.call(HELLO).status == 200
    print(f"an address is blocked elsewhere after {took_s:.3f} s")
    assert took_s < 1


@pytest.mark.parametrize("what", ["session", "agent"])
def test_blocks_hold_between_relay_and_process(party: Party, what: str) -> None:
    tenant, relay = tenant_of("sk-blocks"), party.relays[0]
    there, here = f"{what} of the relay", f"{what} of the process"
    with client(relay, "sk-blocks", **{f"x_llmtrace_{what}_id": there}) as offender:
        assert party.process.status(HELLO.body, tenant=tenant, **{what: there}) == 200
        assert offender.call(OFFENCE).status == 200
        took_s = seconds_until(lambda: party.process.status(HELLO.body, tenant=tenant, **{what: there}) == REFUSED_HERE)
    with client(relay, "sk-blocks", **{f"x_llmtrace_{what}_id": here}) as same:
        assert same.call(HELLO).status == 200
        assert party.process.status(OFFENCE.body, tenant=tenant, **{what: here}) == 200
        back_s = seconds_until(lambda: same.call(HELLO).status == 403)
    assert party.process.status(HELLO.body, tenant=tenant, **{what: "another"}) == 200
    print(f"a {what} is blocked in the process after {took_s:.3f} s, and in the relay after {back_s:.3f} s")
    assert max(took_s, back_s) < 1


@pytest.mark.parametrize("kind", [HELLO, SHORT], ids=lambda kind: kind.name)
def test_a_budget_is_one_for_all(party: Party, kind: Kind) -> None:
    key = f"sk-budget-{kind.name}"
    taken: list[Batch] = []
    spender = threading.Thread(target=lambda: taken.append(_spend(party.process, kind, key)))
    loads = [Load(each.url, kind, clients=CLIENTS, headers={"authorization": f"Bearer {key}"}) for each in party.relays]
    with ExitStack() as running:
        for load in loads:
            running.enter_context(load)
        spender.start()
        party.relays[0].until(lambda: all(load.calls and load.calls[-1].status == 429 for load in loads))
        spender.join()
    calls = [call for load in loads for call in load.calls]
    each = [tokens(load.calls) for load in loads]
    spent = sum(each) + taken[0].tokens
    granted = sum(call.status == 200 for call in calls) + taken[0].statuses[200]
    per_call = spent / granted
    print(f"budget of {BUDGET} tokens: {spent} spent by {granted} calls ({each} and {taken[0].tokens} in the process)")
    print(f"overshoot: {max(spent - BUDGET, 0)} tokens, {max(spent - BUDGET, 0) / per_call:.1f} calls")
    assert min(*each, taken[0].tokens) > 0
    assert {call.status for call in calls} <= {200, 429}
    under_way = 2 * CLIENTS + THREADS if kind is SHORT else 0  # nothing is underestimated otherwise
    assert spent <= BUDGET + under_way * per_call
    if BUDGET - spent > RESERVED:
        relay = party.relays[0]
        with client(relay, key) as last:  # settled is what was spent, and nothing else is taken
            relay.until(lambda: 0 < BUDGET - spent - _left(last.call(FREE)) < RESERVED, 5)


def _left(call: Call) -> int:
    return int(call.headers["x-llmtrace-budget-tenant-monthly-tokens"])


def _spend(process: Process, kind: Kind, key: str) -> Batch:
    return process.calls(kind.body or {}, 150, THREADS, tenant=tenant_of(key))


def test_a_rate_is_one_for_all(party: Party) -> None:
    began = time.monotonic()
    headers = {"authorization": f"Bearer {RATED}"}
    short = Kind("rated", body=chat(max_tokens=1), scenario="say=QQ")
    loads = [Load(each.url, short, clients=2, pause_s=0.005, headers=headers) for each in party.relays]
    with loads[0], loads[1]:
        batch = party.process.calls(short.body or {}, 100, 2, tenant=tenant_of(RATED))
        party.relays[0].until(lambda: time.monotonic() - began > 3)
    seconds = time.monotonic() - began
    each = [sum(call.status == 200 for call in load.calls) for load in loads]
    granted, allowed = sum(each) + batch.statuses.get(200, 0), BURST + RATE * seconds
    print(f"{RATE}/s and {BURST} at once: {granted} of {allowed:.0f} calls in {seconds:.1f} s, {each} in the relays")
    assert min(each) > 0
    assert granted <= allowed + 1
    assert granted > allowed - 2 * RATE


def test_redis_is_killed_and_calls_go_on_under_limits_of_each_alone(party: Party) -> None:
    relay, key = party.relays[0], "sk-away"
    headers = {"authorization": f"Bearer {key}"}
    with Load(relay.url, HELLO, clients=2, pause_s=0.05, headers=headers) as load:
        load.goes_on(relay, 20)
        usual = list(load.calls)
        party.redis.kill()
        killed = time.monotonic()
        load.goes_on(relay, 30)
        without = load.since(killed)
        assert metric(relay.url, "llmtrace_faults_total", component="state") > 0
        assert party.process.status(HELLO.body or {}, tenant=tenant_of(key)) == 200
        assert party.redis.start()
        with client(party.relays[1], key, x_llmtrace_session_id="back") as offender:
            again_s = seconds_until(lambda: offender.call(OFFENCE).status == 403)
        with client(relay, key, x_llmtrace_session_id="back") as same:
            shared_s = seconds_until(lambda: same.call(HELLO).status == 403)
    print(f"p50 {1000 * percentile(usual, 0.5):.0f} ms, slowest call without Redis {percentile(without, 1):.3f} s")
    print(f"blocks are shared again after {again_s:.2f} + {shared_s:.2f} s")
    assert fault_counts(load.calls) == {}
    assert percentile(without, 1) < SLOWEST_S


def test_redis_is_killed_and_calls_are_refused(provider: FakeProvider, tmp_path: Path) -> None:
    with RedisServer(require_redis(), tmp_path) as redis:
        settings = {**SHARED, "state": {"url": redis.url, "timeout_ms": 500, "fail_mode": "closed"}}
        config = {"upstream_url": provider.url, "storage": {"profile": "memory"}, **settings}
        with RunningRelay(tmp_path, **config) as relay:
            with Load(relay.url, HELLO, clients=2, pause_s=0.02) as load:
                load.goes_on(relay, 20)
                redis.kill()
                killed = time.monotonic()
                load.goes_on(relay, 60)
                without = load.since(killed)
                relay.until(lambda: httpx.get(f"{relay.url}/ready").status_code == 503, 5)
                asked = provider.stats()["requests"]
                load.goes_on(relay, 20)
                assert provider.stats()["requests"] == asked, "calls get through that nobody has counted"
                redis.start()
                back_s = seconds_until(lambda: load.calls[-1].status == 200)
                load.goes_on(relay, 20)
            assert relay.until(lambda: httpx.get(f"{relay.url}/ready").status_code == 200)
    print(f"without Redis {len(without)} calls, the slowest {percentile(without, 1):.3f} s; back after {back_s:.2f} s")
    assert {call.status for call in without} == {429}
    assert json.loads(without[-1].body)["error"]["type"] == "rate_limit_exceeded"
    assert without[-1].headers["retry-after"] == "1"
    assert {call.status for call in load.calls} == {200, 429}
    assert percentile(without, 1) < SLOWEST_S
