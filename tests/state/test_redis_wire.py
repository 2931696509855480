"""What goes over the wire: how often, and nothing that was not asked with."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
import redis

from llmtrace_sdk.core.claims import Budget, Claims, Offence, Rate, Settlement, Slots
from llmtrace_sdk.state._scripts import scripts
from llmtrace_sdk.state.redis import RedisState

from .proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .redis_server import RedisCluster, RedisServer

CLAIMS = (
    Rate("{t}:r", 2.0, 5),
    Slots("{t}:s", 7, 60.0),
    Budget("{t}:b", 1_790_000_000, 3600, 11, 1000),
    Budget("{t}:c", 1_790_000_000, 86400, 12, None),
)
ASKED = Claims("call-1", ("ip:1", "user:2"), CLAIMS, 600.0)
SCRIPTS = scripts()


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def state(proxy: Proxy) -> Iterator[RedisState]:
    state = RedisState(f"redis://127.0.0.1:{proxy.port}", timeout_s=5, connect_timeout_s=5)
    yield state
    state.close()


def words(text: str) -> list[bytes]:
    return text.encode().split()


def said(proxy: Proxy) -> list[list[bytes]]:
    return [command for command in proxy.heard() if command[0] not in {b"CLIENT", b"HELLO"}]


def test_an_admission_is_one_round_trip_blocks_included(state: RedisState, proxy: Proxy) -> None:
    state.admit(ASKED)
    for number in range(5):
        before = proxy.round_trips
        state.admit(Claims(f"more {number}", ASKED.blocks, CLAIMS))
        assert proxy.round_trips - before == 1


def test_an_unknown_script_costs_one_more(state: RedisState, proxy: Proxy, server: RedisServer) -> None:
    state.admit(ASKED)
    server.ask("SCRIPT", "FLUSH")
    before = proxy.round_trips
    assert state.admit(Claims("other", (), CLAIMS)).granted
    assert proxy.round_trips - before == 2


def test_a_batch_of_settlements_is_one_round_trip_and_survives_a_flush(
    state: RedisState, proxy: Proxy, server: RedisServer
) -> None:
    state.settle([Settlement("x", CLAIMS, (0, 0))])
    batch = [Settlement(str(number), CLAIMS, (1, 2)) for number in range(8)]
    before = proxy.round_trips
    state.settle(batch)
    assert proxy.round_trips - before == 1
    server.ask("SCRIPT", "FLUSH")
    state.settle([Settlement(f"y{number}", CLAIMS, (1, 2)) for number in range(50)])
    assert state.spent(CLAIMS[2:]) == (58, 116)


def test_only_what_is_in_the_claims_goes_out(state: RedisState, proxy: Proxy) -> None:
    state.admit(ASKED)
    proxy.heard()
    state.admit(ASKED)
    blocks = "llmtrace:{llmtrace:blocks}:block:"
    keys = (
        f"{blocks}ip:1 {blocks}user:2 llmtrace:{{t}}:call:call-1 llmtrace:{{t}}:r llmtrace:{{t}}:s"
        " llmtrace:{t}:b:1790000000 llmtrace:{t}:c:1790000000"
    )
    numbers = (
        "2 call-1 600000000 3600000000 rate 500000.0 5 0 slots 7 60000000 0"
        " budget 11 1000 1790003600 budget 12 -1 1790086400"
    )
    assert said(proxy) == [words(f"EVALSHA {SCRIPTS.admit.sha} 7 {keys} {numbers}")]


def test_only_what_is_in_settlements_and_offences_goes_out(state: RedisState, proxy: Proxy) -> None:
    state.settle([Settlement("call-1", CLAIMS, (0, 0))])
    state.offend(Offence("source", "block", 3, 60.0))
    proxy.heard()
    state.settle([Settlement("call-1", CLAIMS, (9, 8))])
    state.offend(Offence("source", "block", 3, 60.0))
    state.block("block", 5)
    state.unblock("block")
    state.blocked(["block"])
    keys = "llmtrace:{t}:call:call-1 llmtrace:{t}:r llmtrace:{t}:s llmtrace:{t}:b:1790000000 llmtrace:{t}:c:1790000000"
    numbers = "call-1 0 600000000 3600000000 rate 0 0 slots 0 0 budget 9 1790003600 budget 8 1790086400"
    blocks = "llmtrace:{llmtrace:blocks}:"
    assert said(proxy) == [
        words(f"EVALSHA {SCRIPTS.settle.sha} 5 {keys} {numbers}"),
        words(f"EVALSHA {SCRIPTS.offend.sha} 2 {blocks}offences:source {blocks}block:block 3 60000000"),
        words(f"SET {blocks}block:block 1 PX 5000"),
        words(f"DEL {blocks}block:block"),
        words(f"PTTL {blocks}block:block"),
    ]


def test_what_is_kept_holds_nothing_else(state: RedisState, server: RedisServer) -> None:
    state.admit(ASKED)
    state.settle([Settlement("call-1", CLAIMS, (9, 8))])
    state.offend(Offence("source", "block", 1, 60.0))
    state.publish("policy", b"hash")
    kept = server.ask("KEYS", "*")
    for key in kept:
        assert key.startswith(b"llmtrace:{")
        assert 0 < server.ask("PTTL", key) <= 366 * 86_400_000
    members = server.ask("ZRANGE", "llmtrace:{t}:s", 0, -1)
    assert members == []
    assert sorted(kept) == sorted(
        words(
            "llmtrace:{t}:call:call-1 llmtrace:{t}:r llmtrace:{t}:b:1790000000 llmtrace:{t}:c:1790000000"
            " llmtrace:{llmtrace:blocks}:block:block llmtrace:{llmtrace:blocks}:offences:source"
            " llmtrace:{llmtrace:topics}:policy"
        )
    )


def test_a_cluster_is_asked_everything_before_anything_is_awaited(
    shared_cluster: RedisCluster, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = RedisState(shared_cluster.url, timeout_s=5, connect_timeout_s=5)
    claims = Claims("c", ("a", "b"), (Rate(f"{tag}:r", 1, 9),))
    for number in range(3):  # connects, and loads the script
        assert state.admit(Claims(str(number), claims.blocks, claims.claims)).granted
    events = []
    for name in ("send_packed_command", "read_response"):
        original = getattr(redis.Connection, name)

        def traced(self: Any, *args: Any, _name: str = name, _original: Any = original, **more: Any) -> Any:
            events.append(_name[:4])
            return _original(self, *args, **more)

        monkeypatch.setattr(redis.Connection, name, traced)
    assert state.admit(Claims("d", ("a", "b"), claims.claims)).granted
    state.close()
    assert events == ["send", *["read"] * 3] or events == ["send"] * 2 + ["read"] * 3


@pytest.mark.slow
def test_how_long_an_admission_takes(
    shared_server: RedisServer, shared_cluster: RedisCluster, tag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = (
        Rate(f"{tag}:r", 1e6, 10**6),
        Slots(f"{tag}:s", 10**6, 60.0),
        *(Budget(f"{tag}:b{number}", 1_790_000_000, 3600, 1, 10**9) for number in range(3)),
    )
    for name, url in (("one server", shared_server.url), ("a cluster", shared_cluster.url)):
        state, taken = RedisState(url, timeout_s=5), []
        for number in range(1500):
            asked = Claims(f"{name}{number}", ("ip:1", "user:1"), claims)
            begun = time.perf_counter_ns()
            state.admit(asked)
            taken.append(time.perf_counter_ns() - begun)
        state.close()
        taken.sort()
        with capsys.disabled():
            print(
                f"\nadmit on {name}, 2 blocks and 5 claims: {median(taken) / 1000:.0f} us, p99 {taken[1485] / 1000:.0f}"
            )
        assert median(taken) < 50_000_000
