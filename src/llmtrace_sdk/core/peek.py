"""What can be told of bytes without reading all of them."""

from __future__ import annotations

import msgspec

from llmtrace_sdk.core.model import Prompt, Settings


class _Bounds(msgspec.Struct, gc=False):
    maxOutputTokens: int | None = None  # noqa: N815
    num_predict: int | None = None


class _Members(msgspec.Struct, gc=False):
    model: str | None = None
    stream: bool | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    generationConfig: _Bounds | None = None  # noqa: N815 - Gemini's name
    options: _Bounds | None = None

    @property
    def bound(self) -> int | None:
        """The most tokens that the answer may have, by whichever name."""
        for given in (self.max_completion_tokens, self.max_output_tokens, self.max_tokens):
            if given is not None:
                return given
        inner = self.generationConfig or self.options
        return None if inner is None else inner.maxOutputTokens or inner.num_predict


_decode = msgspec.json.Decoder(_Members).decode


def at_request(body: bytes) -> Prompt | None:
    """Model, stream flag and size of a request; None when it cannot be read, which reading it will tell."""
    try:
        seen = _decode(body)
    except (ValueError, RecursionError):
        return None
    bound = seen.bound
    if bound is None and seen.n is None:
        return Prompt(model=seen.model, stream=bool(seen.stream))
    return Prompt(model=seen.model, stream=bool(seen.stream), settings=Settings(max_tokens=bound, choice_count=seen.n))


def at_end(chunk: bytes, mark: bytes, before: bytes) -> bool:
    """Whether a stream's end mark in this chunk is a line of its own: JSON escapes the line ends of what a model says.

    `before` is the chunk before it, or a line end.
    """
    return b"\n" + mark in chunk or (chunk.startswith(mark) and before.endswith(b"\n"))
