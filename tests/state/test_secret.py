"""Names in the keys of a shared store depend on a secret; processes that have the same one share what is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_sdk.core import admission
from llmtrace_sdk.core.fingerprint import Names
from llmtrace_sdk.core.limits import BudgetCap, CostCapOptions, RateOptions, ScopedCaps
from llmtrace_sdk.core.model import Labels
from llmtrace_sdk.core.routing import BlockKeys

if TYPE_CHECKING:
    from .redis_server import RedisServer

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
import httpx
import llmtrace_sdk as llmtrace
from tests.keys.bench import ATTACK, Echo
from tests.transport.wire import URL, client

llmtrace.configure(**json.loads(sys.argv[1]))
with llmtrace.context(tenant="acme", session="s-1", agent="planner"), client(httpx, "sync", Echo("fine")) as http:
    for text in sys.argv[2:]:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": ATTACK if text == "attack" else text}]}
        print(http.post(URL, json=body).status_code)
        assert llmtrace.flush(20)
"""
NAMES = ("acme", "s-1", "planner")


def statuses(server: RedisServer, secret: str, *texts: str) -> list[int]:
    """How calls of a process of its own end; one tenant, session and agent."""
    settings: dict[str, Any] = {
        "state": {"url": server.url, "timeout_ms": 20_000},
        "action_router": {
            "enabled": True,
            "default_actions": ["block_session"],
            "session_block": {"max_offenses": 1},
        },
        "rate_limiting": {"enabled": True, "max_concurrent": 100},
        "cost_caps": {"enabled": True, "agents": [{"agent_id": "*", "budget_caps": [HOURLY]}]},
    }
    environment = {**os.environ, "LLMTRACE_STATE_SECRET": secret}
    words = [sys.executable, "-c", PROGRAM, json.dumps(settings), *texts]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [int(each) for each in done.stdout.split()]


HOURLY = {"window": "hourly", "hard_limit_tokens": 1_000_000}


def kept(server: RedisServer) -> set[str]:
    return {key.decode() for key in server.ask("KEYS", "*")}


def test_processes_with_the_same_secret_share_blocks_and_others_do_not(server: RedisServer) -> None:
    assert statuses(server, "one", "attack", "hello") == [200, 400]
    assert statuses(server, "one", "hello") == [400]
    assert statuses(server, "two", "hello") == [200]
    of_all = kept(server)
    tags = {key.split("}")[0] for key in of_all if ":blocks}" not in key}
    assert len(tags) == 2, "each secret has keys of its own, even for the tenant"
    assert not [key for key in of_all for name in (*NAMES, "one", "two") if name in key]


@pytest.mark.parametrize("secret", [b"", b"one"])
def test_all_keys_of_a_tenant_have_one_tag(secret: bytes) -> None:
    """Or a cluster could not keep them together."""
    labels = Labels(tenant="acme", agent="planner")
    caps = CostCapOptions(
        enabled=True,
        default_budget_caps=(BudgetCap(window="daily", hard_limit_usd=1),),
        agents=(ScopedCaps(agent_id="*", budget_caps=(BudgetCap(window="daily", hard_limit_usd=1),)),),
    )
    names = Names(secret)
    load = admission.Load(1, 1, 1)
    ask = admission.claims_of(RateOptions(), caps, labels, None, load, "c", 0.0, rated=True, names=names)
    block = BlockKeys(secret).block("session", "s-1", "acme")
    tags = {key.partition("}")[0] for key in (block, *(claim.key for claim in ask.claims.claims))}
    assert len(tags) == 1


def test_without_a_secret_the_keys_are_those_of_before() -> None:
    """A process that is updated must find what the others keep."""
    assert Names().of("tenant", "acme") == Names(b"").of("tenant", "acme") == "46261ddc914e1a0029"
    assert len({Names(secret).of("tenant", "acme") for secret in (b"", b"one", b"two")}) == 3
    assert Names(b"one").of("tenant", "x") != Names(b"one").of("agent", "x")
