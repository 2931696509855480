from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest

from llmtrace_sdk.state.memory import MemoryState
from llmtrace_sdk.state.redis import RedisState

from .redis_server import RedisCluster, RedisServer, require_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from llmtrace_sdk.typing import State

_numbers = itertools.count()


@pytest.fixture(scope="session")
def redis_binary() -> Path:
    return require_redis()


@pytest.fixture(scope="session")
def shared_server(redis_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """For tests that leave it as it was; each has keys of its own."""
    with RedisServer(redis_binary, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def shared_cluster(redis_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with RedisCluster(redis_binary, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def server(redis_binary: Path, tmp_path: Path) -> Iterator[RedisServer]:
    """One that a test may kill."""
    with RedisServer(redis_binary, tmp_path) as server:
        yield server


@pytest.fixture
def tag() -> str:
    """Of keys that no other test has."""
    return f"{{t{os.getpid()}-{next(_numbers)}}}"


@pytest.fixture(params=["memory", "redis", "cluster"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[[], State]]:
    """Gives clients of one store: the same object for the one in memory."""
    made: list[State] = []
    if request.param == "memory":
        made.append(MemoryState())

    def connected() -> State:
        if request.param != "memory":
            url = request.getfixturevalue(f"shared_{'server' if request.param == 'redis' else 'cluster'}").url
            # a busy machine is no failure of the store
            made.append(RedisState(url, timeout_s=5, connect_timeout_s=5))
        return made[-1]

    yield connected
    for each in made:
        each.close()


@pytest.fixture
def state(connect: Callable[[], State]) -> State:
    return connect()
