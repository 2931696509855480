"""What each key of `cost_estimation` does: one answer with tokens of every kind, under prices that differ by one."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import llmtrace_sdk as llmtrace
from tests.transport.wire import Wire, client

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.core.model import CallRecord

    from .bench import Bench

USAGE = {
    "input_tokens": 1000,
    "cache_read_input_tokens": 2000,
    "cache_creation_input_tokens": 3000,
    "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 2000},
    "output_tokens": 500,
    "output_tokens_details": {"thinking_tokens": 100},
    "service_tier": "batch",
}
MESSAGE = {"id": "1", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "Noon."}]}
PLAIN = {"input_per_million": 1.0}
INPUT = 6000 / 1e6
"""What all of the input costs where every token of it costs a dollar per million."""


def billed(**settings: Any) -> CallRecord:
    """The record of one call of a model that no list knows."""
    records: list[CallRecord] = []
    answer = {**MESSAGE, "model": "house-1", "usage": USAGE}
    wire = Wire([json.dumps(answer).encode()], [("content-type", "application/json")])
    llmtrace.configure(cost_estimation=settings)
    remove = llmtrace.on_record(records.append)
    try:
        with client(httpx, "sync", wire) as http:
            body = {"model": "house-1", "max_tokens": 9, "messages": [{"role": "user", "content": "When?"}]}
            http.post("https://api.anthropic.com/v1/messages", json=body)
        assert llmtrace.flush(10)
    finally:
        remove()
    (record,) = records
    return record


def enabled(_: Bench) -> None:
    assert billed(custom_models={"house": PLAIN}).cost_usd == INPUT
    off = billed(enabled=False, custom_models={"house": PLAIN})
    assert (off.cost_usd, off.cost_source) == (None, "")


def price_file(bench: Bench) -> None:
    file = bench.folder / "prices.yaml"
    file.write_text("house: {input_per_million: 2}\n")
    record = billed(pricing_file=str(file))
    assert (record.cost_usd, record.cost_source) == (2 * INPUT, "file")


def custom(_: Bench) -> None:
    unknown = billed()
    assert (unknown.cost_usd, unknown.cost_source) == (None, "unknown")
    known = billed(custom_models={"house": PLAIN})
    assert (known.cost_usd, known.cost_source) == (INPUT, "custom")


def rate(name: str, value: Any, more: float) -> Callable[[Bench], None]:
    """A rate, and what the call costs more, in millionths of a dollar, than where only input costs anything."""

    def effect(_: Bench, settings: dict[str, Any]) -> None:
        record = billed(custom_models={"house": settings})
        assert record.cost_usd == pytest.approx(INPUT + more / 1e6, abs=1e-12)

    return partial(effect, settings={**PLAIN, name: value})


_ITEM = "cost_estimation.custom_models[]."
EFFECTS: dict[str, Callable[[Bench], None]] = {
    "cost_estimation.enabled": enabled,
    "cost_estimation.pricing_file": price_file,
    "cost_estimation.custom_models": custom,
    f"{_ITEM}input_per_million": rate("input_per_million", 3.0, 12_000),
    f"{_ITEM}output_per_million": rate("output_per_million", 4.0, 2000),
    f"{_ITEM}cached_input_per_million": rate("cached_input_per_million", 0.1, -1800),
    f"{_ITEM}cache_write_per_million": rate("cache_write_per_million", 2.0, 3000),
    f"{_ITEM}cache_write_1h_per_million": rate("cache_write_1h_per_million", 2.0, 2000),
    f"{_ITEM}reasoning_per_million": rate("reasoning_per_million", 5.0, 500),
    f"{_ITEM}per_thousand_requests": rate("per_thousand_requests", 2.0, 2000),
    f"{_ITEM}tier_factors": rate("tier_factors", {"batch": 0.5}, -3000),
}
