"""The ingest over real HTTP: uvicorn on a free port, with whoever the test says as the caller."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llmtrace_relay.ingest import Ingest
from llmtrace_relay.store import Identity, StoreUnavailable
from llmtrace_sdk import wiring
from llmtrace_sdk.config import Settings
from tests.relay.listening import listening

from .building import TENANT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_relay.model import Span

DEFAULT_TENANT = "99fe80af-27c1-522a-bdb6-687e753b42ff"


class Running:
    """What stands for the runtime: settings and their pipeline."""

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.pipeline = wiring.pipeline(self.settings)


class Served:
    """A running ingest, and what it took."""

    def __init__(self) -> None:
        self.url = ""
        self.identity = Identity(TENANT, "operator")
        self.room = 1_000_000
        self.tokens: set[str] = set()
        self._lock = threading.Lock()
        self._spans: list[Span] = []
        self.configure()
        self.ingest = Ingest(self._put, DEFAULT_TENANT, running=lambda: self.running)  # type: ignore[arg-type, return-value]

    def configure(self, **settings: Any) -> None:
        """Put other settings in force."""
        self.running = Running(**settings)

    def reset(self) -> None:
        self.identity, self.room, self._spans = Identity(TENANT, "operator"), 1_000_000, []
        self.tokens.clear()
        self.configure()

    @property
    def spans(self) -> list[Span]:
        with self._lock:
            return list(self._spans)

    def _put(self, span: Span) -> None:
        with self._lock:
            if len(self._spans) >= self.room:
                raise StoreUnavailable("full")
            self._spans.append(span)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        scope["llmtrace.identity"] = self.identity
        self.tokens |= {value.decode() for name, value in scope["headers"] if name == b"x-llmtrace-token"}
        await self.ingest(scope, receive, send)


@contextmanager
def serving() -> Iterator[Served]:
    served = Served()
    with listening(served.app) as served.url:
        yield served
