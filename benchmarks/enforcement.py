"""What enforcement itself costs: the policy's decision, and each chunk of a stream that must not pass unseen."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

import llmtrace_sdk as llmtrace
from llmtrace_sdk.core.enforcement import CategoryRule, EnforcementOptions, Match, Override
from llmtrace_sdk.core.model import Finding, Severity
from llmtrace_sdk.core.policy import Policy
from llmtrace_sdk.families import RawHeaders
from llmtrace_sdk.typing import RequestHead, ResponseHead

from .prompts import fresh
from .stats import Pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.core.exchange import Exchange
    from llmtrace_sdk.runtime import Runtime

HEAD = RequestHead("POST", "https", "api.openai.com", None, "/v1/chat/completions", RawHeaders([]))
BODY = b'{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"When does the ferry leave?"}]}'
MODES = {"block": {"mode": "block"}, "redact": {"mode": "redact"}}


def costs(scale: float) -> list[Pair]:
    """Microseconds per chunk of a streamed answer of 40 words, never said before, held and not."""
    quiet = llmtrace.configure(enforcement={"mode": "log"})
    pairs = []
    for name, enforcement in MODES.items():
        held = llmtrace.configure(enforcement=enforcement)
        held.warm()
        pair, rng = Pair(f"chunk of a stream, mode {name}"), random.Random(name)
        for number in range(max(int(400 * scale), 60)):
            events = [_event(f" {word}") for word in fresh(260, rng).split()[:40]]
            for runtime in (quiet, held) if number % 2 else (held, quiet):
                (pair.ours if runtime is held else pair.bare).extend(_stream(runtime, events))
        pairs.append(pair)
    llmtrace.configure()
    return [*pairs, _decisions(scale)]


def _stream(runtime: Runtime, events: list[bytes]) -> list[float]:
    exchange = runtime.open(HEAD, everything=False)
    assert exchange is not None
    flow = exchange.flow(BODY)
    next(flow)
    with suppress(StopIteration):
        flow.send(ResponseHead(200, RawHeaders([(b"content-type", b"text/event-stream")])))
    times = [_took(exchange, event) for event in events]
    exchange.finish("complete")
    return times


def _took(exchange: Exchange, event: bytes) -> float:
    step: Callable[[bytes], Any] = exchange.pass_on if exchange.held else exchange.feed
    began = perf_counter()
    step(event)
    return (perf_counter() - began) * 1e6


def _decisions(scale: float) -> Pair:
    """The policy with 20 overrides and 10 categories about 5 findings, against one without any."""
    rules = tuple(CategoryRule(finding_type=f"type_{n}", action="flag") for n in range(10))
    overrides = tuple(Override(match=Match(tenant=f"tenant-{n}*", model="gpt-*"), mode="block") for n in range(20))
    plain = Policy(EnforcementOptions(mode="block"))
    rich = Policy(EnforcementOptions(mode="block", categories=rules, overrides=overrides))
    found = [Finding(f"type_{n}", "rule", Severity.HIGH, 0.9, 0, 1) for n in range(5)]
    pair = Pair("policy: 5 findings, 20 overrides")
    for _ in range(max(int(2000 * scale), 200)):
        for policy, times in ((plain, pair.bare), (rich, pair.ours)):
            began = perf_counter()
            policy.for_call(tenant="tenant-7", model="gpt-4o-mini", provider="openai").decide(found)
            times.append((perf_counter() - began) * 1e6)
    return pair


def _event(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-mini", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
