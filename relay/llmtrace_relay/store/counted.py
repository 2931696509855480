"""A store that tells how often it was asked, and whether it answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from llmtrace_relay.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_relay.model import Span
    from llmtrace_relay.store import Store


class Counter(Protocol):
    """What counts."""

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Count up."""


class Counted:
    """`put` of a store, counted; all else is the store's own."""

    def __init__(self, store: Store, counter: Counter) -> None:
        self._store = store
        self._counter = counter

    def put(self, spans: Sequence[Span], /) -> None:
        """As the store's."""
        try:
            self._store.put(spans)
        except StoreUnavailable:
            self._counter.count("llmtrace_storage_operations_total", "put", "error")
            raise
        self._counter.count("llmtrace_storage_operations_total", "put", "success")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
