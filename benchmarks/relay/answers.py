"""Answers of the mock upstream: OpenAI's chat completions in fresh words, whole or as events."""

from __future__ import annotations

import json
import random

from benchmarks.prose import Prose

PIECES = 2_000
WORDS = 28
"""About how many characters an event has."""
USAGE = '"usage":{"prompt_tokens":250,"completion_tokens":120,"total_tokens":370}'
ENVELOPE = '"id":"chatcmpl-%08x","created":1750000000,"model":"gpt-4o-mini","system_fingerprint":"fp_mock"'


class Answers:
    """No answer comes twice. What takes time is done once: pieces of text are cut and escaped beforehand."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._pieces = cut(Prose(seed).everyday(PIECES * WORDS))
        self._number = 0

    def whole(self) -> bytes:
        """About 1 KB of JSON."""
        text = "".join(self._random.choices(self._pieces, k=26))
        return (
            f'{{{self._envelope()},"object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant",'
            f'"content":"{text}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],{USAGE}}}'
        ).encode()

    def events(self, count: int, *, usage: bool) -> list[bytes]:
        """So many chunks, one event in each but the last, which has all that comes after the text."""
        head = f'data: {{{self._envelope()},"object":"chat.completion.chunk","choices":['
        tail = b'],"usage":null}\n\n' if usage else b"]}\n\n"
        texts = self._random.choices(self._pieces, k=count - 1)
        chunks = [
            f'{head}{{"index":0,"delta":{{"content":"{text}"}},"logprobs":null,"finish_reason":null}}'.encode() + tail
            for text in texts
        ]
        last = f'{head}{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"stop"}}'.encode() + tail
        if usage:
            last += f"{head}],{USAGE}}}\n\n".encode()
        return [*chunks, last + b"data: [DONE]\n\n"]

    def _envelope(self) -> str:
        self._number += 1
        return ENVELOPE % self._number


def cut(text: str) -> list[str]:
    """Pieces of a few words, as they stand within a JSON string."""
    pieces: list[str] = []
    piece = ""
    for word in text.split(" "):
        piece += f"{word} "
        if len(piece) >= WORDS:
            pieces.append(json.dumps(piece)[1:-1])
            piece = ""
    return pieces
