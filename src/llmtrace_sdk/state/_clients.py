"""Clients of redis-py that never try again by themselves: what a failure means is decided in one place, not here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llmtrace_sdk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.state._address import Address
    from llmtrace_sdk.state._messages import Words


class Timeouts(NamedTuple):
    """In seconds: for a new connection, and for each answer."""

    connect_s: float
    answer_s: float


def require_redis() -> None:
    """Raises `ConfigError` where redis-py is not installed."""
    try:
        import redis  # noqa: F401
    except ImportError:
        raise ConfigError(["state.url: needs redis-py; install llmtrace-sdk[redis]"]) from None


def blocking(address: Address, timeouts: Timeouts) -> Any:
    """A client for threads. That of a cluster asks the cluster at once, and may raise what redis-py raises."""
    import redis
    from redis.backoff import NoBackoff
    from redis.cluster import ClusterNode
    from redis.retry import Retry

    options = _options(timeouts, Retry(NoBackoff(), 0))
    if not address.cluster:
        return redis.Redis.from_url(address.url, **options)
    if _is_old(redis.__version__):
        options["cluster_error_retry_attempts"] = 0
    nodes = [ClusterNode(host, port) for host, port in address.others]  # type: ignore[no-untyped-call]
    return redis.RedisCluster.from_url(address.url, startup_nodes=nodes, **options)


def asynchronous(address: Address, timeouts: Timeouts) -> Any:
    """A client for the tasks of one event loop of asyncio."""
    import redis.asyncio
    from redis.asyncio.cluster import ClusterNode
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    options = _options(timeouts, Retry(NoBackoff(), 0))
    if not address.cluster:
        return redis.asyncio.Redis.from_url(address.url, **options)
    if _is_old(redis.__version__):
        options |= {"cluster_error_retry_attempts": 1, "connection_error_retry_attempts": 0}
    nodes = [ClusterNode(host, port, **options) for host, port in address.others]
    return redis.asyncio.RedisCluster.from_url(address.url, startup_nodes=nodes or None, **options)


def send(client: Any, commands: Sequence[Words]) -> list[Any]:
    """The answers to commands sent at once; an error that the server answered is one of them."""
    from redis.exceptions import ResponseError

    if len(commands) == 1:
        try:
            return [client.execute_command(*commands[0], **_node_of(client, commands[0]))]
        except ResponseError as error:
            return [error]
    with client.pipeline(transaction=False) as pipeline:
        for words in commands:
            pipeline.execute_command(*words, **_node_of(client, words))
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers


async def asend(client: Any, commands: Sequence[Words]) -> list[Any]:
    """`send` without blocking."""
    from redis.exceptions import ResponseError

    if hasattr(client, "get_node_from_key"):
        await client.initialize()
    if len(commands) == 1:
        try:
            return [await client.execute_command(*commands[0], **_node_of(client, commands[0]))]
        except ResponseError as error:
            return [error]
    async with client.pipeline(transaction=False) as pipeline:
        for words in commands:
            pipeline.execute_command(*words, **_node_of(client, words))
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers


def close(client: Any) -> None:
    """Close a client for threads and its connections: that of a cluster would leave them to the garbage collector."""
    nodes = client.get_nodes() if hasattr(client, "get_nodes") else ()
    pools = [node.redis_connection.connection_pool for node in nodes if node.redis_connection is not None]
    client.close()
    for pool in pools:
        pool.disconnect()


def _node_of(client: Any, words: Words) -> dict[str, Any]:
    """Where in a cluster a script is to run. Not told, some versions ask the server first which words are keys."""
    find = getattr(client, "get_node_from_key", None)
    if find is None or words[0] not in {"EVALSHA", "EVAL"}:
        return {}
    try:
        return {"target_nodes": find(words[3])}
    except Exception:  # noqa: BLE001 - it has lost sight of the cluster; sending lets it look anew
        return {}


def _options(timeouts: Timeouts, retry: Any) -> dict[str, Any]:
    return {
        "socket_connect_timeout": timeouts.connect_s,
        "socket_timeout": timeouts.answer_s,
        "retry": retry,
        "protocol": 2,
    }


def _is_old(version: str) -> bool:
    return int(version.partition(".")[0]) < 6
