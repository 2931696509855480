"""The web page at `/ui/`: files that a browser reads; what they show they ask the API for, with the reader's key."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Fields = list[tuple[bytes, bytes]]
    Sender = Callable[[Any], Awaitable[None]]

PREFIX: Final = "/ui"
PAGE: Final = Path(__file__).parent / "page"
FIRST: Final = "index.html"
TYPES: Final = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)
_ALWAYS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_PLAIN: Final = (b"content-type", b"text/plain; charset=utf-8")
_UNKNOWN: Final = b"There is no such file; the page is at /ui/\n"
_ONLY_READ: Final = b"The page can only be read: use GET or HEAD\n"


class File(NamedTuple):
    """A file as it is sent."""

    content: bytes
    media: bytes
    etag: bytes


class Dashboard:
    """The files of the page (ASGI), read once. It tells nothing of any call, so it asks for no key."""

    def __init__(self, folder: Path = PAGE) -> None:
        self._files = {path.name: _file(path) for path in sorted(folder.iterdir()) if path.suffix in TYPES}

    @staticmethod
    def serves(path: str) -> bool:
        """Whether a path is one of the page's."""
        return path == PREFIX or path.startswith(f"{PREFIX}/")

    async def __call__(self, scope: Any, _receive: Any, send: Sender) -> None:
        """Serve one request. `/ui` leads to `/ui/`, where the page's files are beside it."""
        path = scope["path"].removeprefix(PREFIX)
        file = self._files.get(path.removeprefix("/") or FIRST)
        if scope["method"] not in ("GET", "HEAD"):
            await _say(scope, send, 405, _ONLY_READ, [_PLAIN, (b"allow", b"GET, HEAD")])
        elif not path:
            await _say(scope, send, 307, b"", [(b"location", b"ui/")])  # relative, for a proxy that adds to the path
        elif file is None:
            await _say(scope, send, 404, _UNKNOWN, [_PLAIN])
        elif _has(scope, file.etag):
            await _say(scope, send, 304, None, [(b"etag", file.etag), (b"cache-control", b"no-cache")])
        else:
            fields = [(b"content-type", file.media), (b"etag", file.etag), (b"cache-control", b"no-cache")]
            await _say(scope, send, 200, file.content, fields)


def _file(path: Path) -> File:
    content = path.read_bytes()
    return File(content, TYPES[path.suffix], b'"%s"' % hashlib.sha256(content).hexdigest()[:32].encode())


def _has(scope: Any, etag: bytes) -> bool:
    """Whether the browser has a file already (RFC 9110, section 13.1.2: compared weakly)."""
    told = b",".join(value for name, value in scope["headers"] if name == b"if-none-match")
    return any(each.strip().removeprefix(b"W/") in (etag, b"*") for each in told.split(b","))


async def _say(scope: Any, send: Sender, status: int, body: bytes | None, fields: Fields) -> None:
    """Answer; `body` None where the status has none."""
    length = [] if body is None else [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": [*fields, *length, *_ALWAYS]})
    shown = b"" if scope["method"] == "HEAD" or body is None else body
    await send({"type": "http.response.body", "body": shown, "more_body": False})
