"""An upstream that says exactly what a test wants, byte by byte, and keeps what it was sent."""

from __future__ import annotations

import http.server
import json
import threading
from typing import Any, Self

SAID = "Hello! I'm a mock LLM response."
STREAM = (
    'data: {"choices":[{"delta":{"role":"assistant"},"finish_reason":null}]}\n\n'
    'data: {"choices":[{"delta":{"content":"Hello"},"finish_reason":null}]}\n\n'
    'data: {"choices":[{"delta":{"content":"!"},"finish_reason":null}]}\n\n'
    'data: {"choices":[{"delta":{},"finish_reason":"stop"}],'
    '"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\n'
    "data: [DONE]\n\n"
)


class Answering(http.server.BaseHTTPRequestHandler):
    """Chat completions, whole or as a stream."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        """Answer as the request asks."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.requests.append((self.path, dict(self.headers), body))
        asked = json.loads(body) if body else {}
        if asked.get("stream"):
            self._say("text/event-stream", STREAM.encode())
            return
        message = {"role": "assistant", "content": SAID}
        answer = {
            "id": "chatcmpl-test",
            "object": "chat.completion",
            "model": asked.get("model", "gpt-4"),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18},
        }
        self._say("application/json", json.dumps(answer).encode())

    def _say(self, media: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


class Upstream:
    """A server of such answers on a thread."""

    def __init__(self) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._server.requests = []  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def requests(self) -> list[tuple[str, dict[str, str], bytes]]:
        """What it was sent: path, header fields, body."""
        return self._server.requests  # type: ignore[attr-defined, no-any-return]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
