"""Encoded text that is split over several messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs import base32, base64, binary, hexadecimal
from llmtrace_sdk.core.text.codecs._reading import MOST_DECODED
from llmtrace_sdk.core.text.fold import fold
from llmtrace_sdk.core.text.view import View, Whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Span = tuple[int, int]

MOST_JOINED: Final = 8
"""How many messages one encoded text may be spread over."""

_LEAST: Final = 16
_MOST_OF_ONE: Final = 2 * MOST_DECODED
_AROUND: Final = r"[\s\"'`.,:;()\[\]<>]{0,64}+"
# One token, or groups of digits.
_RUN: Final = (
    r"([01]{7,8}(?:[ ,]?[01]{7,8}){1,8192}+|[0-9A-Fa-f]{2}(?:[ ,:][0-9A-Fa-f]{2}){4,32768}+"
    r"|=?=?[A-Za-z0-9+/_-]{4,131072}+=?=?)"
)
_OUTERMOST: Final = re.compile(rf"{_AROUND}{_RUN}(?![A-Za-z0-9+/_])")
_BETWEEN: Final = re.compile(r"[\s,:=]+")
_DECODERS: Final[tuple[tuple[str, Callable[[str], str | None]], ...]] = (
    ("binary", binary.decoded),
    ("hex", hexadecimal.decoded),
    ("base32", base32.decoded),
    ("base64", base64.decoded),
)


def joined(views: Sequence[View]) -> View | None:
    """What the last texts say together, if each of them ends in an encoded run, or starts with one; else None.

    At most `MOST_JOINED` texts, at least two. The view's origin is the run in the last text.
    """
    spans: list[Span] = []
    runs: list[str] = []
    for view in reversed(views[-MOST_JOINED:]):
        span = _run(view.text)
        if span is None:
            break
        spans.append(span)
        runs.append(_BETWEEN.sub("", view.text[span[0] : min(span[1], span[0] + _MOST_OF_ONE)]))
    for count in range(len(runs), 1, -1):
        found = _decoded("".join(reversed(runs[:count])))
        if found is not None:
            return _view(views[-1], spans[0], *found)
    return None


def _run(text: str) -> Span | None:
    """The encoded run at the end of a text, or at its start."""
    backwards = _OUTERMOST.match(text[::-1])
    if backwards:
        start, end = backwards.span(1)
        return len(text) - end, len(text) - start
    forwards = _OUTERMOST.match(text)
    return forwards.span(1) if forwards else None


def _decoded(run: str) -> tuple[str, str] | None:
    if len(run) >= _LEAST:
        for name, decode in _DECODERS:
            text = decode(run[: 2 * _MOST_OF_ONE]) if name != "binary" or not run.strip("01") else None
            if text is not None:
                return name, text[:MOST_DECODED]
    return None


def _view(last: View, span: Span, codec: str, text: str) -> View:
    folded = fold(text)
    outer = (Whole(*span), last.folding, *last.outer)
    return View(folded.text, (*last.codecs, codec), folded.signs, folded.raw, folded.folding, outer, last.size)
