"""An application over real HTTP: uvicorn on a free port."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """Serve it in a thread; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        server = _Server(
            uvicorn.Config(app, lifespan="off", ws="none", interface="asgi3", log_config=None, access_log=False)
        )
        thread = threading.Thread(target=server.run, args=([held],), name="served")
        thread.start()
        try:
            assert server.ready.wait(20)
            yield f"http://127.0.0.1:{held.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
