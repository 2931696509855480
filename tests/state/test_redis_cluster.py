"""A cluster that changes while it is used."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from llmtrace_sdk.core.claims import Claims
from llmtrace_sdk.errors import StateUnavailable
from llmtrace_sdk.state.redis import RedisState

from .redis_server import RedisCluster
from .test_semantics import ask, budget

if TYPE_CHECKING:
    from pathlib import Path

    from .redis_server import RedisServer

SOON_S = 1.0


def test_a_node_of_a_cluster_dies(redis_binary: Path, tmp_path: Path) -> None:
    with RedisCluster(redis_binary, tmp_path) as cluster:
        state = RedisState(cluster.url, failures=100)
        tags = [f"{{{number}}}" for number in range(12)]
        for name in tags:
            assert state.admit(Claims("a", (), (budget(name, 1, 9),))).granted
        cluster.nodes[2].kill()
        granted, longest, reasons = 0, 0.0, set()
        for name in tags * 2:
            begun = time.monotonic()
            try:
                granted += state.admit(Claims("b", (), (budget(name, 1, 9),))).granted
            except StateUnavailable as error:
                reasons.add(error.reason)
            longest = max(longest, time.monotonic() - begun)
        assert reasons <= {"connection", "timeout", "clusterdown"}
        assert longest < SOON_S
        assert 0 < granted < len(tags) * 2
        state.close()


def test_slots_that_move_are_found(redis_binary: Path, tmp_path: Path) -> None:
    with RedisCluster(redis_binary, tmp_path) as cluster:
        blocking, other = (RedisState(cluster.url, timeout_s=5, connect_timeout_s=5) for _ in range(2))
        assert ask(blocking, "a", budget("{before}", 1, 9), blocks=("x",)).granted

        async def run() -> list[int | None]:
            assert (await other.aadmit(Claims("a", (), (budget("{before}", 1, 9),)))).again
            left = []
            for call in "bc":
                tag = f"{{moving{call}}}"
                to = move(cluster, tag)
                left += [ask(state, call, budget(tag, 1, 9), blocks=("x",)).remaining[0] for state in (blocking, other)]
                left.append((await other.aadmit(Claims(f"{call}2", ("x",), (budget(tag, 1, 9),)))).remaining[0])
                assert to.ask("EXISTS", f"llmtrace:{tag}:call:{call}") == 1
            await other.aclose()
            return left

        assert asyncio.run(run()) == [8, 8, 7] * 2
        blocking.close()


def move(cluster: RedisCluster, tag: str) -> RedisServer:
    """Give the slot of a tag, in which there is nothing yet, to the next node."""
    slot = cluster.nodes[0].ask("CLUSTER", "KEYSLOT", tag)
    ids = [node.ask("CLUSTER", "MYID").decode() for node in cluster.nodes]
    owner = min(slot * 3 // 16384, 2)
    to = (owner + 1) % 3
    for node in (cluster.nodes[to], cluster.nodes[owner], cluster.nodes[3 - to - owner]):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[to])
    return cluster.nodes[to]
