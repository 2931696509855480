"""What became of a question to Redis, in a word: never what the server or the client said, which may name keys."""

from __future__ import annotations

import re
from typing import Any, Final

_CODE: Final = re.compile(r"[A-Z]{2,20}(?= |$)")


def reason_of(error: BaseException) -> str:
    """The reason of `StateUnavailable`."""
    from redis import exceptions as known

    # what a server says to many words of somebody who has given no password
    if "unauthenticated" in str(error) or isinstance(error, known.AuthorizationError):
        return "auth"
    if isinstance(error, known.TimeoutError | TimeoutError):
        return "timeout"
    for kind, reason in _kinds():
        if isinstance(error, kind):
            return reason
    if isinstance(error, known.ConnectionError | known.RedisClusterException | OSError):
        return "connection"
    found = _CODE.match(str(error)) if isinstance(error, known.ResponseError) else None
    return found[0].lower() if found else "failed"


def was_cut_off(error: BaseException) -> bool:
    """Whether a connection turned out to be dead: another one may do."""
    from redis import exceptions as known

    return isinstance(error, known.ConnectionError) and not any(isinstance(error, kind) for kind, _ in _kinds())


def is_unknown_script(answer: Any) -> bool:
    """Whether the server has not seen this script before."""
    from redis.exceptions import NoScriptError

    return isinstance(answer, NoScriptError)


def _kinds() -> tuple[tuple[type[Exception], str], ...]:
    # redis-py takes the code out of the message of those that it has classes for
    from redis import exceptions as known

    return (
        (known.AuthenticationError, "auth"),
        (known.BusyLoadingError, "loading"),
        (known.ReadOnlyError, "readonly"),
        (known.OutOfMemoryError, "oom"),
        (known.ClusterDownError, "clusterdown"),
        (known.NoPermissionError, "auth"),
    )
