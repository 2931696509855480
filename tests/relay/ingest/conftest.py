from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_relay.ingest import Taken, decode, spans_of
from llmtrace_sdk import wiring
from llmtrace_sdk.config import Settings
from llmtrace_sdk.faults import faults

from .building import LIMIT, NOW_US, PROTOBUF, TENANT
from .serving import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_relay.model import Span


Take = Callable[..., Taken]


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    """Whatever comes in, nothing of ours may fail."""
    before = dict(faults)
    yield
    assert dict(faults) == before


@pytest.fixture
def take() -> Take:
    """Read a request and make spans of it; keywords are settings."""

    def taken(body: bytes, content_type: str = PROTOBUF, **settings: Any) -> Taken:
        made = Settings(**settings)
        return spans_of(decode(body, content_type, None, LIMIT), TENANT, NOW_US, wiring.pipeline(made), made)

    return taken


@pytest.fixture
def one(take: Take) -> Callable[..., Span]:
    """The only span of a request."""

    def only(body: bytes, content_type: str = PROTOBUF, **settings: Any) -> Span:
        taken = take(body, content_type, **settings)
        assert not taken.rejected, taken.reasons
        (span,) = taken.spans
        return span

    return only


@pytest.fixture(scope="session")
def _served() -> Iterator[Served]:
    with serving() as running:
        yield running


@pytest.fixture
def served(_served: Served) -> Iterator[Served]:
    """A running ingest that has taken nothing yet."""
    yield _served
    _served.reset()
