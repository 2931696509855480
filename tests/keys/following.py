"""What the keys do that say whose announced policy is followed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import llmtrace_sdk as llmtrace
from tests.following.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench


def relay(bench: Bench) -> None:
    with Relay() as running:
        running.announce({"enforcement": {"mode": "block"}})
        assert bench.call(relay=running.url).status in (200, 400)
        deadline = time.monotonic() + 10
        while bench.again().status != 400:
            assert time.monotonic() < deadline
        llmtrace.shutdown()
        assert bench.call().status == 200


def relay_key_env(bench: Bench) -> None:
    bench.monkeypatch.setenv("KEY_OF_THE_RELAY", "abc")
    with Relay() as running:
        llmtrace.configure(relay=running.url, relay_key_env="KEY_OF_THE_RELAY")
        deadline = time.monotonic() + 10
        while not running.asked:
            assert time.monotonic() < deadline
        llmtrace.shutdown()
        assert running.asked[0]["X-LLMTrace-Token"] == "abc"


EFFECTS: dict[str, Callable[[Bench], None]] = {"relay": relay, "relay_key_env": relay_key_env}
