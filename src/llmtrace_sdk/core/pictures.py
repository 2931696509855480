"""Pictures in a request that nobody has read yet: in base64 they are a hundred times as large as what they cost."""

from __future__ import annotations

import re
from typing import Final

from llmtrace_sdk.core.tokens import BLOB_TOKENS, BYTES_PER_TOKEN

STEP: Final = 16 << 10
"""How far apart a body is looked at: smaller pictures are not worth it."""

NEAR: Final = 200
PICTURE_SIZE: Final = BLOB_TOKENS * BYTES_PER_TOKEN

_base64 = re.compile(rb"[A-Za-z0-9+/=_-]{64}").match
# OpenAI, Cohere and others write a data URL; Anthropic and Gemini have a key `data`, Bedrock `bytes`.
_url = re.compile(rb"data:image/[a-z0-9.+-]{1,20};base64,").match
_keyed = re.compile(rb'(?<!\\)"(?:data|bytes)"\s{0,9}:\s{0,9}"$').search


def text_size(body: bytes) -> int:
    """The size of a JSON request in bytes, with each large picture as long as a text of as many tokens as it has."""
    size, at, end = len(body), STEP, len(body)
    while at < end:
        if _base64(body, at) is None:
            at += STEP
            continue
        first, last = body.rfind(b'"', 0, at) + 1, body.find(b'"', at)
        if last < 0:
            break
        if last - first > PICTURE_SIZE and _is_picture(body, first, last):
            size -= last - first - PICTURE_SIZE
        at = last + STEP
    return size


def _is_picture(body: bytes, first: int, last: int) -> bool:
    """Whether a string is one by what stands at its beginning, or around it: a text that looks like one is not."""
    if body[first - 2 : first - 1] == b"\\":  # a quote within a text
        return False
    if _url(body, first):
        return True
    before = body[max(first - NEAR, 0) : first]
    return _keyed(before) is not None and b"image" in before + body[last : last + NEAR]
