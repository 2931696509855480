"""Noticing that a client goes away while it is served."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

GONE: Final = "llmtrace.gone"
"""In a scope: what takes the function to call when the connection is lost, in place of the one before; None for none.
Where it is lost already, the function is called at once.
"""


def watch(scope: Any, receive: Callable[[], Awaitable[Any]], gone: Callable[[], None]) -> Callable[[], object]:
    """Have `gone` called when the client goes away; what is given back ends that.

    The connection itself tells it, where it is one of the relay's own; a task of its own for each call would cost more
    than all that is done with the header fields. From other servers ASGI's message is waited for.
    """
    told = scope.get(GONE)
    if told is not None:
        told(gone)
        return lambda: told(None)
    return asyncio.create_task(_until_gone(receive, gone)).cancel


async def _until_gone(receive: Callable[[], Awaitable[Any]], gone: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    gone()
