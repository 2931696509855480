"""Answers made of `choices`: chat completions and legacy completions, whole or streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmtrace_sdk.core import jsonio
from llmtrace_sdk.core.model import Delta
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._openai_parts import call_of
from llmtrace_sdk.providers._openai_shapes import error_of, usage_of
from llmtrace_sdk.providers._reading import EMPTY, ReaderState, mapping, sequence
from llmtrace_sdk.providers._shared import compact, joined, short, whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_sdk.core.model import Kind

TRACKED_LIMIT: Final = 1024
"""How many choices and how many tool calls of an answer are told apart; what comes on top flows into the last one."""

_CONTENT_0 = "/choices/0/message/content"


class _Message(msgspec.Struct, gc=False):
    """The members of `message` and `delta` that hold text. Untyped, because vendors differ in them."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Message | None = None
    finish_reason: Any = None
    text: Any = None
    message: Any = None
    error: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] = []
    usage: Any = None
    error: Any = None
    id: Any = None
    model: Any = None


_MEMBERS = _Message.__struct_fields__
_decode = msgspec.json.Decoder(_Chunk).decode


class ChoicesReader(ReaderState):
    """Reads the answer of /chat/completions and /completions.

    Streamed chunks that carry one choice and nothing else are read by a typed decoder that skips what is not needed;
    everything else takes the general way.
    """

    __slots__ = ("_calls", "_finished", "_flowing", "_parts", "_told")

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[tuple[int, int], tuple[int, str]] = {}
        self._parts: dict[int, int] = {}
        self._finished: dict[int, str] = {}
        self._told: set[int] = set()
        self._flowing = False

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:
        """Read one streamed event; raises `Unreadable` when it is no JSON."""
        try:
            chunk = _decode(data)
        except (ValueError, RecursionError):
            return self._odd_event(name, data)
        if self.model is None or self.response_id is None:
            self._identify(chunk.id, chunk.model)
        if len(chunk.choices) == 1 and chunk.usage is None and chunk.error is None:
            choice = chunk.choices[0]
            if not choice.finish_reason and choice.message is None and choice.error is None:
                if choice.delta is not None:
                    return self._flow(choice.index, choice.delta)
                return self._flow_text(choice.index, choice.text)
        return self._read(jsonio.decode(data), name, whole_body=False)

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a whole answer; raises `Unreadable` when it is neither an answer nor an error."""
        deltas = self._read(payload, "", whole_body=True)
        if self.error_type is None and not isinstance(mapping(payload).get("choices"), list):
            raise Unreadable("unknown_shape")
        return deltas

    def _odd_event(self, name: str, data: bytes) -> Iterable[Delta]:
        """An event that is no JSON, or JSON with members of unexpected types."""
        stripped = data.strip()
        if stripped.startswith(b"[DONE]"):
            self.done = True
            return EMPTY
        return self._read(jsonio.decode(stripped), name, whole_body=False) if stripped else EMPTY

    def _identify(self, label: Any, model: Any) -> None:
        self.response_id = self.response_id or short(label)
        self.model = self.model or short(model)

    def _read(self, payload: Any, name: str, *, whole_body: bool) -> Iterable[Delta]:
        """The general way: any JSON value, whole answer or chunk."""
        body = mapping(payload)
        if body is not payload and error_of(payload) is None:
            raise Unreadable("unknown_shape")
        self._identify(body.get("id"), body.get("model"))
        self.service_tier = short(body.get("service_tier")) or self.service_tier
        usage = body.get("usage") or mapping(body.get("x_groq")).get("usage")
        if isinstance(usage, dict):
            self.usage = usage_of(usage)
        choices = body.get("choices")
        loose = name == "error" or (whole_body and not isinstance(choices, list))
        self.error_type = error_of(payload, loose=loose) or self.error_type
        deltas: list[Delta] = []
        for at, choice in enumerate(sequence(choices)):
            if isinstance(choice, dict):
                deltas += self._read_choice(at if whole_body else _index(choice, at), choice)
        return deltas or EMPTY

    def _read_choice(self, index: int, choice: dict[str, Any]) -> Iterable[Delta]:
        self._finish(index, short(choice.get("finish_reason")))
        if choice.get("error"):
            self.error_type = error_of(choice) or self.error_type
        text, delta, message = choice.get("text"), choice.get("delta"), choice.get("message")
        if isinstance(delta, dict) and (deltas := self._flow(index, _message(delta))):
            return deltas
        if text:
            return self._flow_text(index, text)
        if isinstance(message, dict) and not self._flowing and index not in self._told:
            return self._tell(index, message)
        return EMPTY

    def _flow(self, choice: int, delta: _Message) -> Iterable[Delta]:
        """An increment of a choice; plain text, by far the most frequent, goes the short way."""
        content = delta.content
        if (
            type(content) is str
            and content
            and choice == 0
            and delta.tool_calls is None
            and delta.reasoning_content is None
            and delta.reasoning is None
            and delta.refusal is None
            and delta.audio is None
            and delta.function_call is None
            and delta.reasoning_details is None
        ):
            self._flowing = True
            return (Delta(content, "text", 0, 0, _CONTENT_0),)
        deltas = self._texts(choice, delta, exact=False)
        if deltas:
            self._flowing = True
        return deltas or EMPTY

    def _flow_text(self, choice: int, text: Any) -> Iterable[Delta]:
        """An increment, or the whole, of a legacy completion."""
        if not isinstance(text, str) or not text:
            return EMPTY
        self._flowing = True
        return (Delta(text, "text", choice, 0, f"/choices/{choice}/text"),)

    def _tell(self, choice: int, message: dict[str, Any]) -> Iterable[Delta]:
        """A whole message: the answer was not streamed, or only its end was sent. Read once."""
        deltas = self._texts(choice, _message(message), exact=True)
        if deltas and len(self._told) < TRACKED_LIMIT:
            self._told.add(choice)
        return deltas or EMPTY

    def _texts(self, choice: int, message: _Message, *, exact: bool) -> list[Delta]:
        """Everything a message says. `exact` numbers the parts of a content list, which a stream cannot do."""
        base = f"/choices/{choice}/message"
        deltas: list[Delta] = []
        self._add_reasoning(deltas, choice, message, base)
        if isinstance(message.content, list):
            _add_parts(deltas, choice, message.content, f"{base}/content", exact)
        else:
            _add(deltas, message.content, "text", choice, f"{base}/content")
        _add(deltas, message.refusal, "refusal", choice, f"{base}/refusal")
        if isinstance(message.audio, dict):
            _add(deltas, message.audio.get("transcript"), "text", choice, f"{base}/audio/transcript", part=-1)
        if isinstance(message.function_call, dict):
            name, _, value = call_of({"function": message.function_call})
            _add_call(deltas, choice, 0, f"{base}/function_call/arguments", name, value)
        for at, call in enumerate(sequence(message.tool_calls)):
            if isinstance(call, dict):
                self._add_tool_call(deltas, choice, at, call, base)
        return deltas

    def _add_reasoning(self, deltas: list[Delta], choice: int, message: _Message, base: str) -> None:
        """The thoughts of the model, under the first of the names in use (several hold the same text)."""
        for member in ("reasoning_content", "reasoning", "reasoning_details"):
            value = getattr(message, member)
            if value:
                said = value if isinstance(value, str) else joined(_said(value))
                _add(deltas, said, "reasoning", choice, f"{base}/{member}")
                return

    def _add_tool_call(self, deltas: list[Delta], choice: int, at: int, call: dict[str, Any], base: str) -> None:
        name, member, value = call_of(call)
        part, is_new = self._part(choice, _index(call, at), short(call.get("id")) or "", name)
        pointer = f"{base}/tool_calls/{part}{member}" if is_new or name else ""
        _add_call(deltas, choice, part, pointer, name, value)

    def _part(self, choice: int, index: int, label: str, name: str | None) -> tuple[int, bool]:
        """The number of a tool call within its choice, and whether it is new.

        Calls are told apart by their index. Some vendors send index 0 for all of them, so another id together with a
        name begins another call; another id alone does not, since others invent a new id for each increment.
        """
        known = self._calls.get((choice, index))
        if known is not None and not (name and label and known[1] and label != known[1]):
            return known[0], False
        if len(self._calls) >= TRACKED_LIMIT:
            return TRACKED_LIMIT, True
        next_part = self._parts.get(choice, 0)
        part = max(index, next_part) if known is None else next_part
        self._parts[choice] = part + 1
        self._calls[choice, index] = (part, label)
        return part, True

    def _finish(self, choice: int, reason: str | None) -> None:
        """Remember why a choice ended; the reasons are kept in the order of the choices."""
        if reason is None or self._finished.get(choice) == reason or len(self._finished) >= TRACKED_LIMIT:
            return
        self._finished[choice] = reason
        self.finish_reasons = [self._finished[key] for key in sorted(self._finished)]


def _message(value: dict[str, Any]) -> _Message:
    return _Message(*[value.get(member) for member in _MEMBERS])


def _add(deltas: list[Delta], text: Any, kind: Kind, choice: int, pointer: str, part: int = 0) -> None:
    if isinstance(text, str) and text:
        deltas.append(Delta(text, kind, choice, part, pointer))


def _add_call(deltas: list[Delta], choice: int, part: int, pointer: str, name: str | None, value: Any) -> None:
    """A tool call or an increment of it; a call without arguments still is one."""
    text = compact(value) if value is not None else ""
    if text or name:
        deltas.append(Delta(text, "tool_call", choice, part, pointer, name))


def _index(item: dict[str, Any], position: int) -> int:
    index = whole(item.get("index"))
    return position if index is None else index


def _add_parts(deltas: list[Delta], choice: int, parts: list[Any], pointer: str, exact: bool) -> None:
    """Content written as a list (Mistral): text parts, thoughts, refusals."""
    for at, part in enumerate(parts):
        item = mapping(part) or {"text": part}
        label = item.get("type")
        kind: Kind = "refusal" if label == "refusal" else "text"
        member = "refusal" if label == "refusal" else "text"
        if label in ("thinking", "reasoning"):
            kind, member = "reasoning", label
        value = item.get(member)
        said = value if isinstance(value, str) else joined(_said(value))
        place = f"{pointer}/{at}/{member}" if exact else pointer
        _add(deltas, said, kind, choice, place, at if exact else 0)


def _said(value: Any) -> Any:
    """The texts of a list of thoughts without their types, ids and signatures."""
    if not isinstance(value, list):
        return None
    return [mapping(item).get("text") or mapping(item).get("summary") for item in value]
