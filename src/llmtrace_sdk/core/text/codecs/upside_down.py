"""Letters that look like Latin ones turned by half a circle, in reverse order."""

# ruff: noqa: RUF001
from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import Codec, Reading, readable
from llmtrace_sdk.core.text.view import Mirrored

if TYPE_CHECKING:
    from collections.abc import Iterator

_TURNED: Final = dict(
    zip(
        "ɐɔǝəɟƃɓɥᴉıɾʞןʅɯɹʇʌʍʎ∀ƆᗡƎℲ⅁ſ˥Ԁᴚ⊥∩Λ⅄¿¡˙‾ƖƐ⅋",
        "aceefgghiijkllmrtvwyACDEFGJLPRTUVY?!._13&",
        strict=True,
    )
)
_SYMMETRIC: Final = dict(zip("bdlnopqsuxzHINOSXZMW0896,'", "qpluodbsnxzHINOSXZWM0869',", strict=True))
_TABLE: Final = str.maketrans(_TURNED | _SYMMETRIC)
_CLASS: Final = re.escape("".join(_TURNED))
_BOTH: Final = _CLASS + re.escape("".join(_SYMMETRIC))
_SURE: Final = re.compile(f"[{_CLASS}]")
_RUN: Final = re.compile(rf"(?<!\w)[{_BOTH}](?:[{_BOTH}]|\s(?=[{_BOTH}]))*+")
_LEAST: Final = 3


def read(text: str) -> Iterator[Reading]:
    """Runs of words that can all be turned, from the first letter that must be to the last."""
    for match in _RUN.finditer(text):
        sure = [letter.start() for letter in _SURE.finditer(text, *match.span())]
        if len(sure) >= _LEAST:
            start, end = _to_word_ends(match, sure[0], sure[-1] + 1)
            decoded = text[start:end].translate(_TABLE)[::-1]
            if readable(decoded):
                yield Reading(start, end, decoded, Mirrored(end))


def _to_word_ends(run: re.Match[str], start: int, end: int) -> tuple[int, int]:
    """Symmetric letters belong to it as long as no space comes between."""
    words = [run.start() + space.start() for space in re.finditer(r"\s", run[0])]
    first = max((space + 1 for space in words if space < start), default=run.start())
    return first, min((space for space in words if space >= end), default=run.end())


CODEC: Final = Codec("upside_down", read, signs=frozenset({"upside_down"}), raw=True)
