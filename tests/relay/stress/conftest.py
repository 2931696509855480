from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.postgres_server import PostgresServer, require_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer(require_postgres()) as server:
        yield server
