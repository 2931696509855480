"""The HTTP client libraries we know: httpx and its successor httpx2, same shape, different classes.

Neither is imported here, but for clients of our own (`library`). A family is a module object found in `sys.modules`,
and everything that depends on it is made from that module, because each of them checks for its own base classes.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

from opentelemetry import context as context_api

from llmtrace_sdk.typing import RequestHead, ResponseHead

if TYPE_CHECKING:
    from types import ModuleType

    from opentelemetry.context import Context

NAMES: Final = ("httpx", "httpx2")
Colour = Literal["sync", "async"]
_OF_A_BODY: Final = frozenset({b"content-length", b"content-encoding", b"transfer-encoding"})
_SUPPRESS: Final = (
    getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"),
    getattr(context_api, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation"),
)
_CLIENTS: Final[dict[str, Colour]] = {"Client": "sync", "AsyncClient": "async"}


def loaded() -> list[ModuleType]:
    """The families that this process has imported; one entry when one is an alias of the other."""
    found = {id(module): module for name in NAMES if (module := sys.modules.get(name)) is not None}
    return list(found.values())


def library(install: str) -> ModuleType:
    """The family for clients of our own: one that the program uses already, else one that is installed.

    Raises `ImportError` with `install`, which says what to install, where there is none.
    """
    for module in loaded():
        return module
    for name in NAMES:
        try:
            return import_module(name)
        except ImportError:
            continue
    raise ImportError(install)


def silent() -> Context:
    """A context in which other instrumentations make no spans: our own requests are part of no trace of the program."""
    context = context_api.Context()
    for key in _SUPPRESS:
        context = context_api.set_value(key, value=True, context=context)
    return context


def module_of(kind: type) -> ModuleType | None:
    """The family that a class, or one of its bases, comes from."""
    for base in kind.__mro__:
        root = base.__module__.partition(".")[0]
        if root in NAMES:
            return sys.modules.get(root)
    return None


def client_colour(thing: Any) -> Colour | None:
    """`sync` or `async` when the object is a client of either family (or of a subclass), else None."""
    for base in type(thing).__mro__:
        if base.__module__.partition(".")[0] in NAMES and base.__name__ in _CLIENTS:
            return _CLIENTS[base.__name__]
    return None


def own(client: Any) -> Any:
    """Mark a client as one of ours, whose requests are nobody's call; returns it."""
    client._llmtrace_own = True
    return client


def is_own(client: Any) -> bool:
    """Whether a client is one of ours."""
    return getattr(client, "_llmtrace_own", False) is True


def request_head(request: Any) -> RequestHead:
    """The head of a request of either family."""
    url = request.url
    path = url.raw_path.partition(b"?")[0].decode("ascii", "replace")
    return RequestHead(request.method, url.scheme, url.host, url.port, path, RawHeaders(request.headers.raw))


def response_head(response: Any) -> ResponseHead:
    """The head of a response of either family."""
    return ResponseHead(response.status_code, RawHeaders(response.headers.raw))


def with_body(request: Any, body: bytes | None) -> Any:
    """The same request with another body, which has no content coding; the request itself for None.

    A copy: whoever sends the original again, after a redirect say, sends what the application made.
    """
    if body is None:
        return request
    headers = [(name, value) for name, value in request.headers.raw if name.lower() not in _OF_A_BODY]
    headers.append((b"content-length", str(len(body)).encode()))
    kind = type(request)
    stream = module_of(kind).ByteStream(body)  # type: ignore[union-attr]
    return kind(request.method, request.url, headers=headers, stream=stream, extensions=request.extensions)


def with_content(response: Any, body: bytes) -> Any:
    """The same answer with another body, which has no content coding."""
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _OF_A_BODY]
    headers.append((b"content-length", str(len(body)).encode()))
    module = module_of(type(response))
    assert module is not None
    return module.Response(
        response.status_code, headers=headers, stream=module.ByteStream(body), extensions=response.extensions
    )


def promise_nothing(headers: Any) -> None:
    """Take out of a response's head what would not be true of a body that may be changed on the way."""
    for name in ("content-length", "content-encoding"):
        headers.pop(name, None)


class RawHeaders:
    """Header look-up over the raw fields: a dozen of httpx's own look-ups would cost more than a whole inspection."""

    __slots__ = ("_fields", "_raw")

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw
        self._fields: dict[bytes, bytes] | None = None

    def get(self, name: str, default: str | None = None) -> Any:
        """The value of a field by its name in lower case; several of one name are one list (RFC 9110 section 5.3)."""
        fields = self._fields
        if fields is None:
            fields = self._fields = {}
            for key, value in self._raw:
                field = key.lower()
                fields[field] = fields[field] + b", " + value if field in fields else value
        found = fields.get(name.encode())
        return default if found is None else found.decode("latin-1")
