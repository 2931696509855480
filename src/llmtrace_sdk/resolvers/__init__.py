"""Where each SDK keeps its HTTP clients. No SDK is imported: an object is known by the names of its classes.

`table` says which attributes of which classes lead to a client, and reading such an attribute is enough to make a lazy
SDK create it. What a list of attributes cannot say is in a file of its own: google-genai, huggingface_hub, the agent
frameworks. An object of a class that nobody knows is searched (`search`), and the log says what was found where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.resolvers.walk import Found, Walk

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Found", "resolve"]


def resolve(
    thing: Any, *, wrap: Callable[[Any], None] | None = None, replace: bool = False, unhook: bool = False
) -> Found:
    """Find the HTTP clients of either family inside an SDK object, an SDK's module, or a list or tuple of such.

    Some SDKs create clients while they are in use: one for each event loop, or after the old one was closed. With
    `wrap` the places where they do so are hooked, and every such client is given to `wrap` before its first request;
    `replace` lets this `wrap` take the place of that of an earlier call. With `unhook` those hooks are taken out, and
    the clients made so far are among those found.

    What cannot be hooked at all is told by `Found.hint`. Raises nothing: an attribute that raises is logged and passed.
    """
    return Walk(wrap, replace=replace, unhook=unhook).run(thing)
