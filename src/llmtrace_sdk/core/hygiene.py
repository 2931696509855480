"""Injection hygiene on the way in: what tools and documents say, in tags and with marks, in the body of a request.

Only strings that are texts change; names, ids and everything else stay byte for byte. A result that is an object stays
one, with its texts wrapped one by one: a member that usually holds text (`content`, `output`, `result`, ...) always,
any other unless it is printable ASCII without white space, of at most `LONGEST_WORD` characters or base64.

Left as they are, and told in `Hardened.skipped`: the model's own turn with the results of tools that ran at the vendor,
who may check them; titles and names of documents, which vendors bound; documents whose citations are counted in their
characters; what stands in the names of members.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmtrace_sdk.core import boundary as tags
from llmtrace_sdk.core import datamarking, jsonio, splice
from llmtrace_sdk.core.boundary import BoundaryOptions
from llmtrace_sdk.core.datamarking import DatamarkingOptions
from llmtrace_sdk.core.splice import Edit
from llmtrace_sdk.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmtrace_sdk.core.model import Prompt, Segment
    from llmtrace_sdk.core.splice import Token

__all__ = ["LONGEST_WORD", "BoundaryOptions", "DatamarkingOptions", "Hardened", "hardened"]

LONGEST_WORD: Final = 64

_NONCE: Final = re.compile(r"[0-9a-f]{32,}")
_KINDS: Final = ("text", "tool_result")
_TEXTS: Final = frozenset(
    "body content contents context documents error input logs message output parts prompt question result stderr "
    "stdout text texts".split()
)
_INSTRUCTIONS: Final = frozenset(
    "content instructions parts preamble system systemInstruction system_instruction system_prompt text".split()
)
_TURNS: Final = frozenset({"chat_history", "contents", "input", "messages"})
_MODEL_ROLES: Final = frozenset({"assistant", "chatbot", "model"})
_WORD: Final = re.compile(rf"[!-~]{{0,{LONGEST_WORD}}}|(?:data:[!-+\--~]{{1,128}};base64,)?[A-Za-z0-9+/]+={{0,2}}")
_INDEX: Final = re.compile(r"[0-9]{1,12}")
_NAME: Final = re.compile(
    r"/messages/\d+/content/\d+(?:/toolResult)?(?:/content/\d+)?/(?:document/|searchResult/)?(?:name|title)"
)
_SOURCE: Final = re.compile(r"(/messages/\d+(?:/toolResult|/content/\d+|/document)+)/source/")


class Hardened(NamedTuple):
    """A request's body with what others wrote set apart; the same object if nothing changed.

    `wrapped` and `marked` count texts, those of a shadow mode included. `skipped` are the pointers of the segments that
    were to be treated, and are not, or not wholly.
    """

    body: bytes
    wrapped: int = 0
    marked: int = 0
    skipped: tuple[str, ...] = ()


class _Text(NamedTuple):
    token: Token
    value: str
    channel: str


def hardened(
    body: bytes, prompt: Prompt, boundary: BoundaryOptions, marking: DatamarkingOptions, nonce: str
) -> Hardened:
    """Set apart what tools and documents say in a request whose `prompt` was read from `body`, redacted or not.

    `nonce` has at least 32 hexadecimal digits (lower case) that nobody can guess; the tags' name ends in it. Linear in
    the size of the body. Raises `ValueError` for another nonce.
    """
    channels = boundary.channels | marking.channels
    segments = [s for s in prompt.segments if s.channel in channels and s.kind in _KINDS] if channels else []
    if not segments:
        return Hardened(body)
    if not _NONCE.fullmatch(nonce):
        raise ValueError("a nonce has at least 32 hexadecimal digits")
    places = _Places(body)
    system = next((s.pointer for s in prompt.segments if _instructs(s)), None)
    try:
        texts, told = places.texts(segments, system)
    except Unreadable:
        return Hardened(body, skipped=tuple(dict.fromkeys(segment.pointer for segment in segments)))
    return _Pass(boundary, marking, nonce, [text.value for text in texts]).over(body, texts, told, places.skipped)


class _Places:
    """Which strings of a body are texts of some segments."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._skipped: dict[str, None] = {}
        self._tree: Any = None

    @property
    def skipped(self) -> tuple[str, ...]:
        return tuple(self._skipped)

    def texts(self, segments: Sequence[Segment], system: str | None) -> tuple[list[_Text], Token | None]:
        """The texts in the order of the body, and where the instructions at `system` are; raises `Unreadable`."""
        self._tree = jsonio.decode(self._body)
        wanted: dict[str, str] = {}
        for segment in segments:
            wanted.update((pointer, segment.channel) for pointer in self._strings(segment))
        # a segment that is an object has its strings under its own pointer
        under = [*wanted, system] if system is not None else list(wanted)
        told, texts = None, []
        for token in splice.tokens(self._body, under=under):
            if token.pointer == system:
                told = token
            elif token.pointer in wanted:
                value = splice.text_of(self._body, token)
                if _is_text(token.pointer, value):
                    texts.append(_Text(token, value, wanted[token.pointer]))
        return texts, told

    def _strings(self, segment: Segment) -> Iterator[str]:
        """The pointers of a segment's strings."""
        pointer = segment.pointer
        value = _at(self._tree, pointer)
        if value is None or self._is_left(pointer):
            self._skipped[pointer] = None
        elif isinstance(value, str):
            yield pointer
        elif isinstance(value, dict | list):
            yield from self._inner(segment)

    def _inner(self, segment: Segment) -> Iterator[str]:
        """Those of an object or array, whose JSON the segment's text is, possibly without some members."""
        try:
            found = splice.tokens(segment.text.encode("utf-8", "surrogatepass"))
            names = [part.step for part in splice.parts_of_text(segment.text) if part.sort == "key"]
        except Unreadable:
            self._skipped[segment.pointer] = None
            return
        if any(" " in name for name in names):
            self._skipped[segment.pointer] = None
        yield from (segment.pointer + token.pointer for token in found)

    def _is_left(self, pointer: str) -> bool:
        if _NAME.fullmatch(pointer) or self._is_model_turn(pointer):
            return True
        source = _SOURCE.match(pointer)
        citations = _member(_at(self._tree, source[1]), "citations") if source else None
        return _member(citations, "enabled") is True

    def _is_model_turn(self, pointer: str) -> bool:
        """Only members of the wire format are asked: what a tool returned may have a `role` as well."""
        steps = pointer.split("/", 3)
        if len(steps) < 3 or steps[1] not in _TURNS:
            return False
        turns = _member(self._tree, steps[1])
        turn = _at(turns, f"/{steps[2]}") if isinstance(turns, list) else turns
        role, sort = _member(turn, "role"), _member(turn, "type")
        if isinstance(sort, str) and (sort.endswith("_call") or sort == "mcp_list_tools"):
            return True
        return isinstance(role, str) and role.lower() in _MODEL_ROLES


class _Pass:
    """One body being treated."""

    def __init__(self, boundary: BoundaryOptions, marking: DatamarkingOptions, nonce: str, values: list[str]) -> None:
        self._boundary, self._nonce = boundary, nonce
        self._tag = f"{boundary.delimiter}-{nonce}"
        self._to_wrap, self._to_mark = boundary.channels, marking.channels
        self._wraps, self._marks = not boundary.shadow_mode, not marking.shadow_mode
        self._mark = datamarking.marker(marking.marker_strategy.kind, nonce, values) if self._to_mark else ""
        self._is_wrapped: set[str] = set()
        self._is_marked = False

    def over(self, body: bytes, texts: list[_Text], told: Token | None, skipped: tuple[str, ...]) -> Hardened:
        """The body with the texts treated, and the reminder where the system prompt is, or before the first of them."""
        edits: dict[Token, list[Edit]] = {}
        wrapped = marked = 0
        for text in texts:
            plain = self._neutral(text)
            content = datamarking.marked(plain, self._mark) if text.channel in self._to_mark else plain
            wrapped += text.channel in self._to_wrap
            marked += content != plain
            if new := self._edits(text, content if self._marks else plain):
                edits[text.token] = new
            self._is_marked = self._is_marked or (self._marks and content != plain)
        if edits and self._boundary.inject_system_reminder:
            self._remind(edits, body, told)
        return Hardened(splice.spliced(body, edits) if edits else body, wrapped, marked, skipped)

    def _neutral(self, text: _Text) -> str:
        if text.channel not in self._to_wrap or not self._wraps:
            return text.value
        return tags.neutral(text.value, self._boundary.delimiter)

    def _edits(self, text: _Text, content: str) -> list[Edit]:
        before = after = ""
        if self._wraps and text.channel in self._to_wrap:
            self._is_wrapped.add(text.channel)
            before, after = f"<{self._tag}>\n", f"\n</{self._tag}>"
        size = len(text.value)
        if content != text.value:
            return [Edit(0, size, f"{before}{content}{after}")]
        return [Edit(0, 0, before), Edit(size, size, after)] if before else []

    def _remind(self, edits: dict[Token, list[Edit]], body: bytes, told: Token | None) -> None:
        said = tags.reminder(self._boundary, self._is_wrapped, self._nonce, self._mark if self._is_marked else "")
        if told is not None:
            end = len(splice.text_of(body, told))
            edits[told] = [Edit(end, end, f"\n\n{said}")]
            return
        first = next(iter(edits))
        start, end, text = edits[first][0]
        edits[first][0] = Edit(start, end, f"{said}\n\n{text}")


def _instructs(segment: Segment) -> bool:
    """Whether something can be added to a text of the system's (a template, say, is none)."""
    return segment.channel == "system" and segment.kind == "text" and _name(segment.pointer) in _INSTRUCTIONS


def _is_text(pointer: str, value: str) -> bool:
    return bool(value) and (_name(pointer) in _TEXTS or not _WORD.fullmatch(value))


def _name(pointer: str) -> str:
    """The name of the member that a value, or the array that it is in, belongs to."""
    return pointer.rstrip("0123456789/").rpartition("/")[2]


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _at(value: Any, pointer: str) -> Any:
    """The value at an RFC 6901 pointer; None where there is none."""
    for step in pointer.split("/")[1:]:
        if isinstance(value, dict):
            value = value.get(step.replace("~1", "/").replace("~0", "~"))
        elif isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
