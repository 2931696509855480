"""JSON source, edited in place: where its strings and numbers are, and new text for parts of them.

Whatever is not edited stays as it is written: escapes, spacing, the order of members, members that are there twice.
Offsets in a value are characters as Python's `json` gives them (a surrogate pair is one), ends are exclusive.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from llmtrace_sdk.core import jsonio
from llmtrace_sdk.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

DEPTH_LIMIT: Final = 512
"""How many arrays and objects may be inside one another."""

# JSON is read before it is walked, so that the patterns need only tell valid texts apart. They never backtrack.
_STRING: Final = r'("[^"\\]*+(?:\\.[^"\\]*+)*+")(?:[ \t\r\n]*+(:))?'
_STRINGS: Final = re.compile(rf"{_STRING}|[\[\]{{}}]", re.DOTALL)
_VALUES: Final = re.compile(rf"{_STRING}|[\[\]{{}}]|(-?[0-9][0-9.eE+-]*+)", re.DOTALL)
_KEY_GROUP: Final = 2
_NUMBER_GROUP: Final = 3
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL
)
_FOREIGN_ESCAPE: Final = re.compile(r"\\(?:\\|u(?!00[0-7])([0-9a-fA-F]{4})|[^u])")
_AS_IT_IS: Final = re.compile(r"[ !#-\[\]-\x7f]*+")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# A long name above many values would make pointers of more text than a process can hold.
_POINTER_ROOM: Final = 64
_POINTER_ROOM_AT_LEAST: Final = 1 << 20

_DECODER: Final = json.JSONDecoder(strict=False)

Sort = Literal["string", "key", "number"]
_Node = dict["str | None", Any]


class Token(NamedTuple):
    """A string value: its RFC 6901 pointer, and the offsets in bytes from its first quote to after its last one."""

    pointer: str
    start: int
    end: int


class Edit(NamedTuple):
    """New text in the place of the characters from `start` to `end`."""

    start: int
    end: int
    text: str


class Part(NamedTuple):
    """A string, a member's name or a number in JSON source, at `start` to `end` with its quotes.

    `within` are the pointers asked for that it is at or under. `step` is the last step to it, for a name its own:
    the member's name, or the index in an array.
    """

    sort: Sort
    start: int
    end: int
    within: tuple[str, ...]
    step: str
    pointer: str


def tokens(data: bytes, *, under: Collection[str] | None = None) -> list[Token]:
    """All string values of a JSON text in UTF-8, or those at or under one of the pointers.

    Raises `Unreadable` as `jsonio.decode` does, `too_deep` beyond `DEPTH_LIMIT` and for pointers without measure.
    """
    source = _source(data)
    walk = _Walk(source, ("",) if under is None else under, _read_bytewise, named=True)
    return [Token(part.pointer, part.start, part.end) for part in walk.parts(_STRINGS) if part.sort == "string"]


def parts_of_body(data: bytes, under: Collection[str] = ("",), *, numbers: bool = True) -> list[Part]:
    """Strings, names and numbers at or under the pointers; offsets in bytes. Raises `Unreadable` like `tokens`."""
    return list(_Walk(_source(data), under, _read_bytewise, named=False).parts(_VALUES if numbers else _STRINGS))


def parts_of_text(text: str, *, numbers: bool = True) -> list[Part]:
    """Strings, names and numbers of a JSON text; offsets in characters. Raises `Unreadable` like `tokens`."""
    if "\0" in text:
        raise Unreadable("invalid_json")
    jsonio.decode(text.encode("utf-8", "surrogatepass"))
    return list(_Walk(text, ("",), read, named=False).parts(_VALUES if numbers else _STRINGS))


def text_of(data: bytes, token: Token) -> str:
    """The decoded value of a token."""
    return read(literal_at(data, token.start, token.end))


def literal_at(data: bytes, start: int, end: int) -> str:
    """A part of the body as it is written."""
    return data[start:end].decode("utf-8", "surrogatepass")


def read(literal: str) -> str:
    """The value of a string literal."""
    return str(_DECODER.raw_decode(literal)[0]) if "\\" in literal else literal[1:-1]


def unescaped(piece: str) -> str | None:
    """What a piece of a string literal says; None if it cannot be a whole piece of one."""
    try:
        said, end = _DECODER.raw_decode(f'"{piece}"')
    except ValueError:
        return None
    return said if end == len(piece) + 2 else None


def spliced(data: bytes, edits: Mapping[Token, Sequence[Edit]]) -> bytes:
    """The text with the edits done; only the bytes of edited characters change.

    The token of a number may be edited too, in the characters that it is written with: it becomes a string.
    Surrogate halves that come to stand side by side are one character to whoever reads it. Raises `ValueError` for
    edits that overlap or lie outside of the value.
    """
    out: list[bytes] = []
    done = 0
    for token in sorted(edits, key=_start):
        literal = literal_at(data, token.start, token.end)
        changed = applied(literal, written(literal, edits[token]))
        out += data[done : token.start], changed.encode("utf-8", "surrogatepass")
        done = token.end
    return b"".join((*out, data[done:])) if out else data


def written(literal: str, edits: Iterable[Edit]) -> list[Edit]:
    """Edits of a value as edits of the literal that it is written as; raises `ValueError` like `spliced`."""
    ordered = sorted(edits, key=_start)
    if not ordered:
        return []
    if not literal.startswith('"'):
        return [Edit(0, len(literal), f'"{escaped(applied(literal, ordered))}"')]
    places = _places(literal, [offset for edit in ordered for offset in edit[:2]])
    ascii_only = _escapes_non_ascii(literal)
    return [
        Edit(start, end, escaped(edit.text, ascii_only=ascii_only))
        for edit, start, end in zip(ordered, places[::2], places[1::2], strict=True)
    ]


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text with the edits done, which are in order and do not overlap."""
    out: list[str] = []
    done = 0
    for edit in edits:
        out += text[done : edit.start], edit.text
        done = edit.end
    return "".join((*out, text[done:]))


def escaped(text: str, *, ascii_only: bool = False) -> str:
    """A text as it is written inside a JSON string literal; what UTF-8 cannot carry is written as an escape."""
    if _AS_IT_IS.fullmatch(text):
        return text
    plain = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
    return plain if ascii_only else _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", plain)


def inward(literal: str, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of a literal as spans of its value: the characters that are wholly inside, in the order of the spans."""
    escapes = [match.span() for match in _ESCAPE.finditer(literal)]
    starts, ends, shifts = [s for s, _ in escapes], [e for _, e in escapes], [1]
    for start, end in escapes:
        shifts.append(shifts[-1] + end - start - 1)
    found = []
    for start, end in spans:
        first, last = bisect_right(ends, start), bisect_left(starts, end)
        if first < len(starts) and starts[first] < start:
            start, first = ends[first], first + 1  # noqa: PLW2901
        if last and ends[last - 1] > end:
            end, last = starts[last - 1], last - 1  # noqa: PLW2901
        found.append((start - shifts[first], max(start - shifts[first], end - shifts[last])))
    return found


class _Frame:
    """An array or object that is being read; `node` is where it is in the tree of the pointers asked for."""

    __slots__ = ("array", "at", "key", "node", "prefix", "within")

    def __init__(self, *, array: bool, node: _Node | None, within: tuple[str, ...], prefix: str) -> None:
        self.array, self.node, self.within, self.prefix = array, node, within, prefix
        self.at, self.key = 0, ""


class _Walk:
    """One pass over valid JSON, from string to string and bracket to bracket."""

    def __init__(self, source: str, under: Collection[str], read: Callable[[str], str], *, named: bool) -> None:
        self._source, self._read, self._named = source, read, named
        self._room = max(_POINTER_ROOM_AT_LEAST, _POINTER_ROOM * len(source))
        self._stack: list[_Frame] = []
        self._frame = _Frame(array=False, node=_tree(under), within=(), prefix="")
        self._last = 0

    def parts(self, pattern: re.Pattern[str]) -> Iterator[Part]:
        """The parts that were asked for, in order; raises `Unreadable("too_deep")`."""
        for match in pattern.finditer(self._source):
            frame, start = self._frame, match.start()
            group = match.lastindex
            if group is None:
                self._bracket(self._source[start], start)
            elif frame.within or frame.node:
                end = match.end(1)
                if group == _KEY_GROUP:
                    frame.key = step = self._read(self._source[start:end])
                    if frame.within:
                        yield Part("key", start, end, frame.within, step, "")
                else:
                    step, _, within, pointer = self._reach(start)
                    if within:
                        sort: Sort = "number" if group == _NUMBER_GROUP else "string"
                        yield Part(sort, start, match.end(group), within, step, pointer)
            self._last = match.end()

    def _bracket(self, bracket: str, start: int) -> None:
        if bracket in "]}":
            self._frame = self._stack.pop()
            return
        frame = self._frame
        if len(self._stack) >= DEPTH_LIMIT:
            raise Unreadable("too_deep")
        self._stack.append(frame)
        if frame.within or frame.node:
            _, node, within, pointer = self._reach(start)
            self._frame = _Frame(array=bracket == "[", node=node, within=within, prefix=f"{pointer}/")
        else:
            self._frame = _Frame(array=False, node=None, within=(), prefix="")

    def _reach(self, start: int) -> tuple[str, _Node | None, tuple[str, ...], str]:
        """The value that begins here: the last step to it, its place in the tree, what it is within, its pointer."""
        frame = self._frame
        if frame.array:
            frame.at += self._source.count(",", self._last, start)
            step = pointed = str(frame.at)
        else:
            step = frame.key
            pointed = step.replace("~", "~0").replace("/", "~1") if "~" in step or "/" in step else step
        node = frame.node.get(pointed) if frame.node else None
        within = (*frame.within, node[None]) if node and None in node else frame.within
        if not self._named or not (within or node):
            return step, node, within, ""
        self._room -= len(frame.prefix) + len(pointed)
        if self._room < 0:
            raise Unreadable("too_deep")
        return step, node, within, frame.prefix + pointed


def _tree(under: Collection[str]) -> _Node:
    """The pointers by their steps; the first step leads to the whole, and None to the pointer itself."""
    top: _Node = {}
    for pointer in under:
        node = top
        for step in pointer.split("/"):
            node = node.setdefault(step, {})
        node[None] = pointer
    return top


def _source(data: bytes) -> str:
    """One character for each byte, which keeps offsets as they are; raises `Unreadable`.

    A reader may take UTF-16 and UTF-32 for JSON too. Those have zero bytes, which JSON in UTF-8 never has.
    """
    jsonio.decode(data)
    if b"\0" in data:
        raise Unreadable("invalid_json")
    return data.decode("latin-1")


def _read_bytewise(literal: str) -> str:
    return read(literal if literal.isascii() else literal.encode("latin-1").decode("utf-8", "surrogatepass"))


def _escapes_non_ascii(literal: str) -> bool:
    return "\\u" in literal and any(match[1] for match in _FOREIGN_ESCAPE.finditer(literal))


def _places(literal: str, offsets: Sequence[int]) -> list[int]:
    """Where offsets in the value are in the literal; raises `ValueError` when they do not ascend or lie outside."""
    places = []
    escapes = _ESCAPE.finditer(literal) if "\\" in literal else iter(())
    escape = next(escapes, None)
    shift, before = 1, 0
    for offset in offsets:
        if offset < before:
            raise ValueError("edits overlap")
        before = offset
        while escape is not None and escape.start() - shift < offset:
            shift += len(escape[0]) - 1
            escape = next(escapes, None)
        places.append(offset + shift)
    if places and places[-1] >= len(literal):
        raise ValueError("an edit lies outside of the value")
    return places


def _start(item: Token | Edit) -> int:
    return item.start
