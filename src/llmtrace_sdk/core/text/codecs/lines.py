"""One letter a line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import Codec
from llmtrace_sdk.core.text.codecs.spaced import joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_RUN: Final = re.compile(r"(?<!\w)\w(?:[ \t]{0,4}(?:\r?\n){1,3}[ \t]{0,4}\w(?!\w)){4,}+")


def read(text: str) -> Iterator[Reading]:
    """Columns of letters that make words; an empty line is a space."""
    for match in _RUN.finditer(text):
        reading = joined(text, match.start(), match.end())
        if reading is not None:
            yield reading


_BREAK: Final = r"[ \t]{0,2}\r?\n\s{0,3}"
CODEC: Final = Codec("lines", read, (rf"(?:^|\n[ \t]{{0,2}})\pL{_BREAK}\pL{_BREAK}\pL[ \t]{{0,2}}\r?\n",))
