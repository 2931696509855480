"""What was stored, beside what clients saw."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING

import httpx

from llmtrace_relay.store import SpanQuery
from llmtrace_relay.store.opening import open_store
from llmtrace_sdk.config.relay import StorageOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from llmtrace_relay.model import Span

    from .load import Call


def stored(folder: Path | None = None, postgres: str | None = None) -> list[Span]:
    """All spans of a relay with SQLite in a folder, or with PostgreSQL."""
    if postgres is not None:
        options = StorageOptions(profile="production", postgres_url=postgres)
    else:
        assert folder is not None
        options = StorageOptions(database_path=str(folder / "llmtrace.db"))
    store = open_store(options)
    try:
        return list(store.each(SpanQuery(tenant_id=None)))
    finally:
        store.close()


def unrecorded(calls: Iterable[Call], spans: Iterable[Span]) -> list[Call]:
    """The calls that a client saw the whole of, and that nobody wrote down."""
    known = {span.trace_id for span in spans}
    return [call for call in calls if call.complete and call.trace not in known]


def twice(spans: Iterable[Span]) -> int:
    """How many calls have more than one record."""
    return sum(count > 1 for count in Counter(span.trace_id for span in spans).values())


def metric(url: str, name: str, **labels: str) -> float:
    """The sum of a metric's series with these labels."""
    text = httpx.get(f"{url}/metrics", timeout=10).text
    total = 0.0
    for line in text.splitlines():
        found = re.match(rf"{name}(?:{{(.*)}})? (\S+)$", line)
        if found and all(f'{key}="{value}"' in (found[1] or "") for key, value in labels.items()):
            total += float(found[2])
    return total


def seconds_until(holds: Callable[[], object], within_s: float = 15.0) -> float:
    """How long it takes until something holds. Fails when it takes longer than that."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_s, f"not within {within_s:g} s"
        time.sleep(0.005)
    return time.monotonic() - began
