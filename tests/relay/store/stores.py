"""A store for tests of what stands before it: keeps spans in a list, and can be away, refuse some, or take its time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

from llmtrace_relay.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_relay.model import Span
    from llmtrace_relay.store import Store


class ListedStore:
    """`away`: it does not answer. `refused`: prompts that it refuses. `gate`: what it waits for."""

    def __init__(self) -> None:
        self.kept: list[Span] = []
        self.batches: list[int] = []
        self.away = False
        self.refused: set[str] = set()
        self.broken: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()

    def put(self, spans: Sequence[Span], /) -> None:
        self.asked.set()
        assert self.gate.wait(20)
        if self.away:
            raise StoreUnavailable
        for each in spans:
            if each.prompt in self.refused:
                raise StoreUnavailable("no", refused=True)
            if each.prompt in self.broken:
                raise ZeroDivisionError
        self.batches.append(len(spans))
        self.kept += spans

    @property
    def prompts(self) -> list[str]:
        return [each.prompt for each in self.kept]

    def as_store(self) -> Store:
        return cast("Store", self)


class Faults(list[str]):
    """What failed, by component."""

    def __call__(self, component: str, _error: BaseException, *_: Any) -> None:
        self.append(component)
