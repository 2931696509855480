"""Base32 (RFC 4648 §6), in either case, with or without padding."""

from __future__ import annotations

import re
from base64 import b32decode
from binascii import Error
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import Codec, text_of
from llmtrace_sdk.core.text.codecs._tokens import tokens_read
from llmtrace_sdk.core.text.codecs._triggers import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

LEAST: Final = 16
_TOKEN: Final = Finder(r"\b(?:[A-Z2-7]{16,}|[a-z2-7]{16,})\b={0,6}")
_SHORT: Final = re.compile(r"(?:[A-Z2-7]{2,16}|[a-z2-7]{2,16})(?!\w)={0,6}")
_HEAD: Final = 64


def read(text: str) -> Iterator[Reading]:
    """What decodes to text."""
    return tokens_read(text, _TOKEN, _SHORT, decoded, LEAST)


def decoded(token: str) -> str | None:
    """The text that a token stands for; None if there is none."""
    token = token.rstrip("=")
    head = _bytes(token[:_HEAD])
    if head is None or text_of(head) is None:
        return None
    data = _bytes(token)
    return text_of(data) if data else None


def _bytes(token: str) -> bytes | None:
    token = token[: len(token) - (1 if len(token) % 8 in (1, 3, 6) else 0)]
    try:
        return b32decode(token + "=" * (-len(token) % 8), casefold=True)
    except (Error, ValueError):
        return None


CODEC: Final = Codec("base32", read, in_runs=("[A-Z2-7]{16}", r"\b[a-z2-7]{24}"))
