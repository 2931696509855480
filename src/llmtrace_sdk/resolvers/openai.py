"""The `openai` module itself, used as a client: `openai.chat.completions.create(...)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmtrace_sdk.resolvers.walk import Walk


def module(walk: Walk, openai: Any, path: str) -> None:
    """The module's client, and if there is none yet, one made here and set as `openai.http_client`.

    The SDK's own client is not asked for, because making it would settle key, base URL and API type, which the program
    may yet have to set. The one made here is of the kind that the SDK makes.
    """
    if openai.http_client is None and not walk.unhook:
        openai.http_client = _default_client(openai)
    walk.follow(openai, path or "openai", "http_client")


def _default_client(openai: Any) -> Any:
    own = openai._base_client.SyncHttpxClientWrapper  # what a client of the SDK makes for itself
    on_httpx2 = any(base.__module__.partition(".")[0] == "httpx2" for base in own.__mro__)
    return openai.DefaultHttpx2Client() if on_httpx2 else openai.DefaultHttpxClient()
