"""Base64 in the standard and the URL-safe alphabet (RFC 4648 §4, §5), with or without padding and white space."""

from __future__ import annotations

import re
from binascii import Error, a2b_base64
from itertools import chain
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import Codec, text_of
from llmtrace_sdk.core.text.codecs._tokens import small_groups_read, tokens_read
from llmtrace_sdk.core.text.codecs._triggers import Finder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

LEAST: Final = 16
_TOKEN: Final = Finder(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_SHORT: Final = re.compile(r"[A-Za-z0-9+/_-]{2,16}={0,2}(?![\w+/-])")
_FOUR: Final = "[A-Za-z0-9+/_-]{4}"
_GROUPS: Final = Finder(rf"(?:\b{_FOUR} ){{4,}}(?:{_FOUR}|[A-Za-z0-9+/_-]{{1,3}}=?=?)")
_URL_SAFE: Final = str.maketrans("-_", "+/")
_PARTS: Final = re.compile(r"[/_-]+")
_HEAD: Final = 64


def read(text: str) -> Iterator[Reading]:
    """What decodes to text: single tokens, wrapped lines, groups of four."""
    return chain(tokens_read(text, _TOKEN, _SHORT, decoded, LEAST), small_groups_read(text, _GROUPS, decoded))


def decoded(token: str) -> str | None:
    """The text that a token stands for, or a part of it between slashes or dashes; None if there is none."""
    token = token.rstrip("=")
    found = _text(token)
    if found is None and not token.isalnum():
        parts = [_text(part) for part in _PARTS.split(token) if len(part) >= LEAST and part != token]
        found = "\n".join(part for part in parts if part) or None
    return found


def _text(token: str) -> str | None:
    if token.islower() or token.isupper() or token.isdecimal():
        return None
    if len(token) % 4 == 1:
        token = token[:-1]
    head = _bytes(token[:_HEAD])
    if head is None or text_of(head) is None:
        return None
    data = _bytes(token)
    return text_of(data) if data else None


def _bytes(token: str) -> bytes | None:
    try:
        return a2b_base64(token.translate(_URL_SAFE) + "=" * (-len(token) % 4))
    except (Error, ValueError):
        return None


_RUN: Final = "[A-Za-z0-9+/_-]{7}"
_GROUP: Final = "[a-z0-9+/]{4}"
CODEC: Final = Codec(
    "base64",
    read,
    (rf"[\s:\"'`]{_GROUP} {_GROUP} {_GROUP} {_GROUP} {_GROUP}",),
    # Of sixteen random characters nearly always some small letter or digit is followed by a capital.
    in_runs=(rf"[a-z0-9][A-Z]{_RUN}", rf"{_RUN}[a-z0-9][A-Z]"),
)
