from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING

import pytest

from llmtrace_relay.store.opening import open_store
from llmtrace_relay.store.sql.schema import metadata
from llmtrace_sdk.config.relay import StorageOptions
from tests.relay.postgres_server import PostgresServer, require_postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from llmtrace_relay.store import Store

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_programs() -> Path:
    return require_postgres()


@pytest.fixture(scope="session")
def postgres(postgres_programs: Path) -> Iterator[PostgresServer]:
    """For tests that leave it running."""
    with PostgresServer(postgres_programs) as server:
        yield server


@pytest.fixture(scope="session")
def killed_postgres(postgres_programs: Path) -> Iterator[PostgresServer]:
    """One that tests may kill if they start it again."""
    with PostgresServer(postgres_programs) as server:
        yield server


@pytest.fixture(scope="session")
def made_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables and nothing in them."""
    path = tmp_path_factory.mktemp("made") / "made.db"
    open_store(StorageOptions(database_path=str(path))).close()
    return path


@pytest.fixture(scope="session")
def shared_postgres_store(postgres: PostgresServer) -> Iterator[Store]:
    postgres.run("CREATE DATABASE shared")
    store = open_store(StorageOptions(profile="production", postgres_url=postgres.url("shared")))
    yield store
    store.close()


@pytest.fixture
def file_options(made_file: Path, tmp_path: Path) -> StorageOptions:
    """Of a SQLite file with empty tables."""
    path = tmp_path / "calls.db"
    shutil.copy(made_file, path)
    return StorageOptions(database_path=str(path))


@pytest.fixture
def empty_options(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], StorageOptions]:
    """Of a database, of SQLite or PostgreSQL, that nobody has opened yet."""

    def made(kind: str) -> StorageOptions:
        if kind == "file":
            return StorageOptions(database_path=str(tmp_path / "new" / "calls.db"))
        server, name = request.getfixturevalue("postgres"), f"fresh{next(_numbers)}"
        server.run(f"CREATE DATABASE {name}")
        return StorageOptions(profile="production", postgres_url=server.url(name))

    return made


@pytest.fixture(scope="session")
def shared_memory_store() -> Iterator[Store]:
    store = open_store(StorageOptions(profile="memory"))
    yield store
    store.close()


@pytest.fixture(params=["file", "memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store of each kind."""
    if request.param == "file":
        store = open_store(request.getfixturevalue("file_options"))
        yield store
        store.close()
    else:
        store = request.getfixturevalue(f"shared_{request.param}_store")
        store._database.write(_empty)
        yield store


def _empty(connection: Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        connection.execute(table.delete())
