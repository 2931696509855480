"""What the load consists of: whole HTTP requests, made beforehand, none with a text that another one has."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.prose import Prose

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Kind = Literal["single", "conversation"]
TURNS = 8
SYSTEM = "You answer in the language of the question, briefly, and say so when you do not know."


class Questions:
    """A source of requests, the same ones for the same seed.

    `single`: a question of `size` characters. `conversation`: the same at the end of a history that grows by a question
    and an answer in each turn and begins anew after eight; `apart` conversations are had at the same time.
    """

    def __init__(self, seed: int, *, size: int = 1000, kind: Kind = "single", apart: int = 16) -> None:
        self._prose = Prose(seed)
        self._random = random.Random(seed)
        self._size = size
        self._kind = kind
        self._apart = apart

    def messages(self) -> Iterator[list[dict[str, str]]]:
        """For ever."""
        while True:
            if self._kind == "single":
                yield [{"role": "user", "content": self._prose.everyday(self._size)}]
            else:
                yield from self._conversations()

    def _conversations(self) -> Iterator[list[dict[str, str]]]:
        going = [[{"role": "system", "content": SYSTEM}] for _ in range(self._apart)]
        for _ in range(TURNS):
            for history in going:
                history.append({"role": "user", "content": self._prose.everyday(self._size)})
                yield list(history)
                history.append({"role": "assistant", "content": self._prose.everyday(self._size // 2)})

    def bodies(self, *, stream: bool) -> Iterator[bytes]:
        """For ever."""
        for messages in self.messages():
            yield body(messages, stream=stream)


def body(messages: Sequence[Mapping[str, str]], *, stream: bool) -> bytes:
    """A chat completion as the openai client asks for it."""
    question: dict[str, Any] = {"messages": messages, "model": "gpt-4o-mini"}
    if stream:
        question |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(question, separators=(",", ":"), ensure_ascii=False).encode()


def request(host: str, content: bytes, headers: Mapping[str, str]) -> bytes:
    """The bytes of a request with about the headers that the openai client sends."""
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        f"Host: {host}",
        "Accept: application/json",
        "Accept-Encoding: gzip, deflate",
        "Connection: keep-alive",
        "User-Agent: OpenAI/Python 3.54.0",
        "Authorization: Bearer bench",
        "Content-Type: application/json",
        "X-Stainless-Lang: python",
        "X-Stainless-Retry-Count: 0",
        *(f"{name}: {value}" for name, value in headers.items()),
        f"Content-Length: {len(content)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content
