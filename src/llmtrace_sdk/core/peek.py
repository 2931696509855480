"""What can be told of bytes without reading all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import structs

from llmtrace_sdk.core.encoding import decode_all
from llmtrace_sdk.core.model import Prompt, Settings

if TYPE_CHECKING:
    from llmtrace_sdk.typing import Endpoint, RequestHead

MOST: Final = 1_000_000_000
"""The most tokens, or choices, that a request is believed to ask for."""


class _Members(msgspec.Struct, gc=False):
    """Untyped, because one member of an unexpected type must not hide the others."""

    model: Any = None
    stream: Any = None
    n: Any = None
    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None
    generationConfig: Any = None  # noqa: N815 - Gemini's name
    options: Any = None

    def bound(self) -> int | None:
        """The most tokens that the answer may have, by whichever name; None where nothing bounds it."""
        inner = [each for each in (self.generationConfig, self.options) if isinstance(each, dict)]
        given = (
            *(self.max_completion_tokens, self.max_output_tokens, self.max_tokens),
            *(each.get(name) for each in inner for name in ("maxOutputTokens", "num_predict")),
        )
        return next((count for value in given if (count := _count(value)) is not None), None)


_decode = msgspec.json.Decoder(_Members).decode


def at_request(body: bytes) -> Prompt | None:
    """Model, stream flag and size of a request; None when it cannot be read, which reading it will tell."""
    try:
        seen = _decode(body)
    except (ValueError, RecursionError):
        return None
    model = seen.model if isinstance(seen.model, str) else None
    bound, choices = seen.bound(), _count(seen.n) or None
    if bound is None and choices is None:
        return Prompt(model=model, stream=seen.stream is True)
    return Prompt(model=model, stream=seen.stream is True, settings=Settings(max_tokens=bound, choice_count=choices))


def at_call(head: RequestHead, endpoint: Endpoint | None, body: bytes, limit: int) -> Prompt | None:
    """`at_request`, behind a content coding too, and with what the path says of the call."""
    encoding = head.headers.get("content-encoding")
    if encoding:
        body, _ = decode_all(encoding, body, limit)
    seen = at_request(body)
    if endpoint is None or not (endpoint.model or endpoint.stream):
        return seen
    known = seen or Prompt()
    return structs.replace(known, model=known.model or endpoint.model, stream=known.stream or bool(endpoint.stream))


def _count(value: Any) -> int | None:
    """A whole number from 0 on; Ollama's -1 (no bound) and all else is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return min(value, MOST) if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def at_end(chunk: bytes, mark: bytes, before: bytes) -> bool:
    """Whether a stream's end mark in this chunk is a line of its own: JSON escapes the line ends of what a model says.

    `before` is the chunk before it, or a line end.
    """
    return b"\n" + mark in chunk or (chunk.startswith(mark) and before.endswith(b"\n"))
