from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llmtrace_relay.store.opening import open_store
from llmtrace_relay.store.sql.schema import metadata
from llmtrace_relay.store.sql.store import SqlStore
from llmtrace_sdk.config.relay import StorageOptions
from tests.relay.access.doors import ADMIN_KEY
from tests.relay.access.locked import Locked
from tests.relay.access.serving import Served, serving
from tests.relay.running import RunningRelay
from tests.relay.upstreams import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_relay.store import Store


@pytest.fixture(scope="package")
def _running() -> Iterator[Served]:
    with serving() as running:
        yield running


@pytest.fixture(scope="package")
def _opened() -> Iterator[SqlStore]:
    opened = open_store(StorageOptions(profile="memory"))
    assert isinstance(opened, SqlStore)
    yield opened
    opened.close()


@pytest.fixture
def store(_opened: SqlStore) -> Store:
    """A store with nothing in it. To open one takes longer than most tests."""
    for table in reversed(metadata.sorted_tables):
        _opened._database.write(lambda connection, table=table: connection.execute(table.delete()))
    return _opened


@pytest.fixture
def served(_running: Served, store: Store) -> Iterator[Served]:
    """The API with keys on."""
    _running.begin(store)
    yield _running
    _running.end()


@pytest.fixture
def unlocked(_running: Served, store: Store) -> Iterator[Served]:
    """The API with keys off."""
    _running.begin(store, enabled=False)
    yield _running
    _running.end()


@pytest.fixture(scope="package")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    with (
        Upstream() as upstream,
        RunningRelay(
            tmp_path_factory.mktemp("relay"),
            upstream_url=upstream.url,
            auth={"enabled": True},
            env={"LLMTRACE_AUTH_ADMIN_KEY": ADMIN_KEY},
        ) as relay,
    ):
        yield Locked(relay, upstream)
