from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.postgres_server import PostgresServer, require_postgres
from tests.state.redis_server import RedisServer, require_redis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer(require_postgres()) as server:
        yield server


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(require_redis(), tmp_path) as server:
        yield server
