"""Readings of what is encoded in a text, one inside the other, within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs import worth_trying
from llmtrace_sdk.core.text.codecs._reading import MOST_DECODED
from llmtrace_sdk.core.text.fold import fold
from llmtrace_sdk.core.text.view import Pieces, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs import Codec, Reading

MOST_VIEWS: Final = 8
DEPTH: Final = 2
_LEAST_ROOM: Final = 4096


def decodings(view: View) -> tuple[View, ...]:
    """What a text may say if decoded: one view for each codec that finds something, with all that it finds.

    Every piece is on a line of its own. Nested to a depth of two, at most eight views and 64 Ki characters in all, in
    time linear in the text's length. A view's `origin` leads back to the original text.
    """
    found: list[View] = []
    seen = {view.text}
    room = MOST_DECODED
    level = [view]
    for _ in range(DEPTH - len(view.codecs)):
        inner: list[View] = []
        for outer in level:
            for child in _decoded(outer, room):
                if child.text in seen:
                    continue
                seen.add(child.text)
                inner.append(child)
                room -= len(child.text)
                if len(found) + len(inner) >= MOST_VIEWS or room <= 0:
                    return (*found, *inner)
        found += inner
        level = inner
    return tuple(found)


def _decoded(view: View, room: int) -> Iterator[View]:
    for codec in worth_trying(view):
        readings: dict[str, list[Reading]] = {}
        sizes: dict[str, int] = {}
        for reading in codec.read(view.raw if codec.raw else view.text):
            name = reading.codec or codec.name
            if sizes.get(name, 0) < room:
                readings.setdefault(name, []).append(reading)
                sizes[name] = sizes.get(name, 0) + len(reading.text) + 1
            elif len(readings) == 1:
                break
        for name, pieces in readings.items():
            # No codec leaves the others without any room.
            child = _view(view, codec, name, pieces, max(room // 2, min(room, _LEAST_ROOM)))
            yield child
            room -= len(child.text)
            if room <= 0:
                return


def _view(view: View, codec: Codec, name: str, readings: list[Reading], room: int) -> View:
    text = "\n".join(reading.text for reading in readings)[:room]
    pieces = Pieces(
        [len(reading.text) for reading in readings],
        [(reading.start, reading.end) for reading in readings],
        [reading.map for reading in readings],
    )
    folded = fold(text)
    outer = (pieces, *view.outer) if codec.raw else (pieces, view.folding, *view.outer)
    return View(folded.text[:room], (*view.codecs, name), folded.signs, folded.raw, folded.folding, outer, view.size)
