"""Bytes as variation selectors, which can follow any character and are not displayed: VS1 is 0, VS256 is 255."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import MOST_DECODED, Codec, text_of, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_RUN: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}+")


def read(text: str) -> Iterator[Reading]:
    """Runs of selectors whose bytes are text."""
    for match in _RUN.finditer(text):
        decoded = text_of(bytes(map(_byte, match[0][:MOST_DECODED])))
        if decoded is not None:
            yield whole(match.start(), match.end(), decoded)


def _byte(selector: str) -> int:
    code = ord(selector)
    return code - 0xFE00 if code < 0xE0100 else code - 0xE0100 + 16


CODEC: Final = Codec("selectors", read, signs=frozenset({"variation_selectors"}), raw=True)
