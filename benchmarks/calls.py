"""The real openai client over loopback against the fake provider: sync, async, stream; time to the first token."""

from __future__ import annotations

import asyncio
import random
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI, OpenAI

import llmtrace_sdk as llmtrace

from .prompts import fresh
from .stats import Pair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MODEL = "gpt-4o-mini"
SIZES = {"100 B": 100, "1 KB": 1_000, "2 KB": 2_000, "10 KB": 10_000, "100 KB": 100_000}
WARM_UP = 20

_seeds = count()  # one for each comparison: a text that came before is remembered, and costs nothing


def rounds(size: int, scale: float) -> int:
    return max(int((120 if size >= 100_000 else 400) * scale), 30)


def question(size: int, rng: random.Random) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": fresh(size, rng)}]}


def sync_calls(url: str, scale: float) -> list[Pair]:
    bare, ours = (OpenAI(base_url=url, api_key="none", max_retries=0) for _ in range(2))
    llmtrace.instrument(ours)

    def call(client: OpenAI, size: int, rng: random.Random) -> float:
        body = question(size, rng)
        began = perf_counter()
        client.chat.completions.create(**body)
        return (perf_counter() - began) * 1e6

    return [interleave(f"openai sync, {name}", call, bare, ours, size, scale) for name, size in SIZES.items()]


def interleave(
    name: str, call: Callable[[Any, int, random.Random], float], bare: Any, ours: Any, size: int, scale: float
) -> Pair:
    rng, pair = random.Random(next(_seeds)), Pair(name)
    for number in range(WARM_UP + rounds(size, scale)):
        first_ours = rng.random() < 0.5
        times: dict[bool, float] = {}
        for side in (first_ours, not first_ours):
            times[side] = call(ours if side else bare, size, rng)
            llmtrace.flush()  # or our work in the background would be counted as the bare client's
        if number >= WARM_UP:
            pair.bare.append(times[False])
            pair.ours.append(times[True])
    return pair


def back_to_back(url: str, scale: float) -> list[Pair]:
    """Blocks of calls without a pause, so that the work in the background competes with the calls: the worst case."""
    bare, ours = (OpenAI(base_url=url, api_key="none", max_retries=0) for _ in range(2))
    llmtrace.instrument(ours)
    rng, pair, block = random.Random(next(_seeds)), Pair("openai sync, 1 KB, per call"), 25

    def run(client: OpenAI) -> float:
        bodies = [question(1_000, rng) for _ in range(block)]
        began = perf_counter()
        for body in bodies:
            client.chat.completions.create(**body)
        took = perf_counter() - began
        llmtrace.flush()
        return took / block * 1e6

    for number in range(max(int(40 * scale), 8)):
        for client in (bare, ours) if number % 2 else (ours, bare):
            (pair.ours if client is ours else pair.bare).append(run(client))
    return [pair]


def streams(url: str, scale: float) -> list[Pair]:
    """Whole streams of about 40 chunks, and the time to their first token."""
    bare, ours = (OpenAI(base_url=url, api_key="none", max_retries=0) for _ in range(2))
    llmtrace.instrument(ours)

    def stream(client: OpenAI, size: int, rng: random.Random) -> float:
        body = question(size, rng)
        began = perf_counter()
        for _ in client.chat.completions.create(**{**body, "model": f"{MODEL}+chunks=40"}, stream=True):
            pass
        return (perf_counter() - began) * 1e6

    def first_token(client: OpenAI, size: int, rng: random.Random) -> float:
        body = question(size, rng)
        began = perf_counter()
        events = client.chat.completions.create(**{**body, "model": f"{MODEL}+chunks=3"}, stream=True)
        for event in events:
            if event.choices and event.choices[0].delta.content:
                break
        took = (perf_counter() - began) * 1e6
        for _ in events:
            pass
        return took

    sizes = [(name, size) for name, size in SIZES.items() if size <= 10_000]
    whole = [interleave(f"openai stream of 40, {name}", stream, bare, ours, size, scale / 2) for name, size in sizes]
    return [*whole, *(interleave(f"first token, {name}", first_token, bare, ours, size, scale) for name, size in sizes)]


def async_calls(url: str, scale: float) -> list[Pair]:
    return asyncio.run(_async_calls(url, scale))


async def _async_calls(url: str, scale: float) -> list[Pair]:
    bare, ours = (AsyncOpenAI(base_url=url, api_key="none", max_retries=0) for _ in range(2))
    llmtrace.instrument(ours)

    async def call(client: AsyncOpenAI, size: int, rng: random.Random) -> float:
        body = question(size, rng)
        began = perf_counter()
        await client.chat.completions.create(**body)
        return (perf_counter() - began) * 1e6

    return [await ainterleave(f"openai async, {name}", call, bare, ours, size, scale) for name, size in SIZES.items()]


async def ainterleave(
    name: str,
    call: Callable[[Any, int, random.Random], Awaitable[float]],
    bare: Any,
    ours: Any,
    size: int,
    scale: float,
) -> Pair:
    rng, pair = random.Random(next(_seeds)), Pair(name)
    for number in range(WARM_UP + rounds(size, scale)):
        first_ours = rng.random() < 0.5
        times: dict[bool, float] = {}
        for side in (first_ours, not first_ours):
            times[side] = await call(ours if side else bare, size, rng)
            llmtrace.flush()
        if number >= WARM_UP:
            pair.bare.append(times[False])
            pair.ours.append(times[True])
    return pair
