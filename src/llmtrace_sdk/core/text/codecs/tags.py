"""ASCII as tag characters, which are not displayed (Unicode block U+E0000)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import Codec, aligned, readable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_RUN: Final = re.compile("(?<!\U0001f3f4)(?<![\U000e0020-\U000e007e])[\U000e0020-\U000e007e]{4,}+")
_TABLE: Final = {0xE0000 + code: chr(code) for code in range(0x20, 0x7F)}


def read(text: str) -> Iterator[Reading]:
    """Runs of tags, other than the codes of regional flags."""
    for match in _RUN.finditer(text):
        decoded = match[0].translate(_TABLE)
        if readable(decoded):
            yield aligned(match.start(), match.end(), decoded)


CODEC: Final = Codec("tags", read, signs=frozenset({"tags"}), raw=True)
