"""Bytes in binary digits: groups of eight or seven, with or without something between them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import Codec, text_of, whole
from llmtrace_sdk.core.text.codecs._tokens import MOST_TAKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_RUN: Final = re.compile(r"(?<!\d)[01]{7,}+(?:[\s,;|._-]{1,3}[01]{7,}+(?!\d))*+")
_GROUP: Final = re.compile("[01]+")
_SAMPLE: Final = 64
_LEAST: Final = 28
_MOST_DIGITS: Final = 4 * MOST_TAKEN


def read(text: str) -> Iterator[Reading]:
    """What decodes to text."""
    for match in _RUN.finditer(text):
        start, end = match.span()
        if end - start >= _LEAST:
            found = decoded(text[start : min(end, start + _MOST_DIGITS)])
            if found is not None:
                yield whole(start, end, found)


def decoded(run: str) -> str | None:
    """The text that a run of digits stands for; None if there is none."""
    groups = _GROUP.findall(run)
    sizes = {len(group) for group in groups[:-1]} or {len(groups[-1])}
    if sizes <= {7, 8}:
        data = bytes(int(group, 2) for group in groups if len(group) in sizes)
        if len(groups) > 1:
            return text_of(data)
    digits = "".join(groups)
    for width in (8, 7):
        if text_of(_bytes(digits[: _SAMPLE * width], width)):
            return text_of(_bytes(digits, width))
    return None


def _bytes(digits: str, width: int) -> bytes:
    return bytes(int(digits[place : place + width], 2) for place in range(0, len(digits) - width + 1, width))


CODEC: Final = Codec("binary", read, ("[01]{7}",), confirm=r"[01]{7,8}[\s,;|._-]{0,3}[01]{7,8}[\s,;|._-]{0,3}[01]{7,8}")
