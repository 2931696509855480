from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.clients.conftest import node
from tests.relay.running import RunningRelay

from .tap import Tap
from .ways import Ways

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.fake_provider import FakeProvider


__all__ = ["node", "ways"]


@pytest.fixture(scope="package", params=["log", pytest.param("flag", marks=pytest.mark.slow), "block"])
def ways(
    request: pytest.FixtureRequest, provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ways]:
    with Tap(provider.url) as behind:
        config = {
            "upstream_url": behind.url,
            "storage": {"profile": "memory"},
            "rate_limiting": {"enabled": False},
            "enforcement": {"mode": request.param, "min_severity": "medium", "min_confidence": 0.5},
        }
        with (
            RunningRelay(tmp_path_factory.mktemp("sdks"), **config) as relay,
            Tap(relay.url) as before,
        ):
            yield Ways(request.param, provider, relay, before, behind)
