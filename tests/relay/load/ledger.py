"""The relay's records beside the calls that were made: each call has exactly one, of an outcome that fits it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmtrace_relay.store import SpanQuery
from llmtrace_relay.store.opening import open_store
from llmtrace_sdk.config.relay import StorageOptions

from .kinds import BY_NAME, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Ledger:
    """`outcomes`: how many records there are by (kind, outcome). `twice`: calls with more than one record, by kind.
    `foreign`: records of no call of ours.
    """

    made: dict[str, int]
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    twice: Counter[str] = field(default_factory=Counter)
    foreign: int = 0

    def problems(self) -> Iterator[str]:
        """What does not add up."""
        recorded = Counter[str]()
        for (name, outcome), count in self.outcomes.items():
            recorded[name] += count
            if outcome not in BY_NAME[name].outcomes:
                yield f"{count} records of kind {name} say {outcome}"
        for name, made in self.made.items():
            if recorded[name] != made:
                yield f"{recorded[name]} records of {made} calls of kind {name}"
        for name, count in self.twice.items():
            yield f"{count} calls of kind {name} have more than one record"
        if self.foreign:
            yield f"{self.foreign} records are of no call"


def read(database: Path, made: dict[str, int]) -> Ledger:
    """What a store has of the calls that were made."""
    ledger, seen = Ledger(made), set[str]()
    store = open_store(StorageOptions(database_path=str(database)))
    try:
        for span in store.each(SpanQuery(tenant_id=None)):
            kind = kind_of(span.trace_id)
            if kind is None:
                ledger.foreign += 1
                continue
            ledger.outcomes[kind.name, span.outcome] += 1
            if span.trace_id in seen:
                ledger.twice[kind.name] += 1
            seen.add(span.trace_id)
    finally:
        store.close()
    return ledger
