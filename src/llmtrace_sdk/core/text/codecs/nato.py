"""The spelling alphabet of radio (ITU Radio Regulations, appendix 14)."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._letters import split
from llmtrace_sdk.core.text.codecs._reading import Codec
from llmtrace_sdk.core.text.codecs.spaced import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_NAMES: Final = """
    alpha alfa bravo charlie delta echo foxtrot golf hotel india juliett juliet kilo lima mike november oscar papa
    quebec romeo sierra tango uniform victor whiskey whisky xray x-ray yankee zulu
""".split()
_NAME: Final = f"(?:{'|'.join(sorted(_NAMES, key=len, reverse=True))})"
_RUN: Final = re.compile(rf"(?i)\b{_NAME}\b(?:[\s,.;/|_-]{{1,4}}{_NAME}\b){{4,}}+")
_ONE: Final = re.compile(rf"(?i){_NAME}")
_MOST: Final = 64 << 10


def read(text: str) -> Iterator[Reading]:
    """Runs of names that spell words."""
    for match in _RUN.finditer(text):
        spans = [name.span() for name in _ONE.finditer(text, match.start(), min(match.end(), match.start() + _MOST))]
        letters = "".join(text[start] for start, _ in spans).lower()
        gaps = [text[end:start] for (_, end), (start, _) in pairwise(spans)]
        usual = max(set(gaps), key=gaps.count)
        ends = [number + 1 for number, gap in enumerate(gaps) if gap != usual]
        reading = spelled(letters, spans, [*ends, len(letters)] if ends else split(letters))
        if reading is not None:
            yield reading


CODEC: Final = Codec("nato", read, (rf"\b{_NAME}[\s,./_-]{{1,3}}{_NAME}[\s,./_-]{{1,3}}{_NAME}\b",))
