from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.relay.raw import RawUpstream
from tests.relay.running import RunningRelay

from .talk import plain

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _fresh(upstream: RawUpstream) -> None:
    upstream.serve = plain


@pytest.fixture(scope="package")
def upstream() -> Iterator[RawUpstream]:
    with RawUpstream(plain) as running:
        yield running


@pytest.fixture(scope="package")
def stranger() -> Iterator[RawUpstream]:
    """Somebody to whom no call may go."""
    with RawUpstream(plain) as running:
        yield running


@pytest.fixture(scope="package")
def relay(upstream: RawUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRelay]:
    config: dict[str, Any] = {
        "upstream_url": upstream.url,
        "storage": {"profile": "memory"},
        "timeout_ms": 3_000,
        "rate_limiting": {"enabled": False},
        "enforcement": {"mode": "block", "min_severity": "medium", "min_confidence": 0.5},
        "upstreams": [{"name": "keyed", "url": upstream.url, "path": "/keyed", "api_key_env": "VENDOR_KEY"}],
    }
    with RunningRelay(tmp_path_factory.mktemp("hostile"), env={"VENDOR_KEY": "sk-vendor"}, **config) as running:
        yield running
        assert "Exception in ASGI application" not in running.log
        assert "Traceback" not in running.log
