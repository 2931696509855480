"""A bare proxy on the relay's own server and client, that inspects nothing: the yardstick of what the relay may cost.

`python -m benchmarks.relay.bare --port P --upstream URL`. It does what any proxy must: request and answer are passed on
as they come, hop-by-hop headers are not.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import aiohttp
import uvicorn
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade host".split()
)


class Bare:
    """The ASGI application."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._client: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"] == "/health":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._forward(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._client.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _forward(self, scope: Any, receive: Any, send: Any) -> None:
        assert self._client is not None
        query = scope["query_string"].decode("latin-1")
        url = URL(self._upstream + scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""), encoded=True)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in passed(scope["headers"])]
        first = await receive()
        body = chunks(first, receive) if first.get("more_body") else first.get("body") or None
        async with self._client.request(scope["method"], url, headers=headers, data=body, allow_redirects=False) as got:
            await send({"type": "http.response.start", "status": got.status, "headers": list(passed(got.raw_headers))})
            async for chunk, _ in got.content.iter_chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def passed(headers: Any) -> Any:
    """The headers that are not about this connection alone."""
    return ((name, value) for name, value in headers if name.lower() not in HOP)


async def chunks(first: Any, receive: Any) -> AsyncIterator[bytes]:
    """A body that did not come at once."""
    message = first
    while True:
        yield message.get("body", b"")
        if not message.get("more_body"):
            return
        message = await receive()


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.relay.bare", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    options = parser.parse_args()
    uvicorn.run(
        Bare(options.upstream),
        host=options.host,
        port=options.port,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
    )


if __name__ == "__main__":
    main()
