from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llmtrace_relay.store.opening import open_store
from llmtrace_sdk.config import Settings
from llmtrace_sdk.config.relay import StorageOptions
from tests.relay.api.calls import calls
from tests.relay.api.serving import NOW_US, TENANT_A, TENANT_B, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

COUNT = 24


@pytest.fixture(scope="package")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("store") / "llmtrace.db"
    store = open_store(StorageOptions(database_path=str(path)))
    try:
        store.put([*calls(TENANT_A, COUNT), *calls(TENANT_B, COUNT)])
        with serving(store) as served:
            yield served
    finally:
        store.close()


@pytest.fixture
def served(_running: Served) -> Iterator[Served]:
    """The API with 24 calls of each of two tenants; tests that change calls bring a tenant of their own."""
    yield _running
    _running.store.heal()
    _running.policies.settings = Settings()
    _running.now_us = NOW_US
    _running.pending = []


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """An admin of tenant A."""
    with served.client() as client:
        yield client


@pytest.fixture
def operator(served: Served) -> Iterator[httpx.Client]:
    """The operator of the relay."""
    with served.client(tenant=None) as client:
        yield client
