"""The end of a stopped stream of Amazon Bedrock: Converse, and InvokeModel with the vendors' own events.

Where the vendor of a model has no way to say that an answer was stopped, the stream ends with an exception of Bedrock,
which its SDKs raise.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.providers import _anthropic_ending, _cohere_ending, _openai_ending
from llmtrace_sdk.providers._endings import frame, mark, objects
from llmtrace_sdk.providers._reading import mapping, text
from llmtrace_sdk.providers._shared import blocked_message, encode, whole

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Decision
    from llmtrace_sdk.typing import Told

_Event = dict[str, Any]
_CONVERSE: Final = frozenset({"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop"})


def converse(decision: Decision, told: Told) -> bytes:
    """`messageStop` with the reason that guardrails give."""
    events = [_named(event) for event in objects(told.events)]
    return b"".join(frame(event, name) for name, event in _converse(decision, events))


def invoke(decision: Decision, told: Told) -> bytes:
    """The vendor's own ending, an event a chunk."""
    events = [_inner(event) for event in objects(told.events)]
    made = _vendors(decision, [event for event in events if event], told)
    if made is None:
        return frame({"message": blocked_message(decision)}, "validationException", exception=True)
    return b"".join(frame({"bytes": base64.b64encode(encode(event)).decode()}, "chunk") for event in made)


def _vendors(decision: Decision, events: list[_Event], told: Told) -> list[_Event] | None:
    """The last events of the vendor whose events these are, or whose model it is; None when it has none."""
    members = {member for event in events for member in event}
    if "choices" in members:
        return _openai_ending.chunks(decision, events, told, chat=True)
    if "event_type" in members:
        return _cohere_ending.events_v1(decision, events, told)
    if "type" in members or (not events and "anthropic" in told.model):
        return _anthropic_ending.events(decision, events, told.model)
    if members & _CONVERSE or (not events and "nova" in told.model):
        named = [(name, mapping(value)) for event in events for name, value in event.items()]
        return [{name: event} for name, event in _converse(decision, named)]
    return None


def _converse(decision: Decision, told: list[tuple[str, _Event]]) -> list[tuple[str, _Event]]:
    if any(name == "messageStop" for name, _ in told):
        return []
    first: list[tuple[str, _Event]] = [] if told else [("messageStart", {"role": "assistant"})]
    begun: dict[int, bool] = {}
    for name, event in told:
        at = whole(event.get("contentBlockIndex"))
        if at is not None:
            begun[at] = name != "contentBlockStop" and begun.get(at, True)
    closing = [("contentBlockStop", {"contentBlockIndex": at}) for at, is_open in begun.items() if is_open]
    stop = {"stopReason": "guardrail_intervened", "additionalModelResponseFields": {"llmtrace": mark(decision)}}
    return [*first, *closing, ("messageStop", stop)]


def _named(event: _Event) -> tuple[str, _Event]:
    """An event of Converse with its name, which its members tell."""
    if "stopReason" in event:
        return "messageStop", event
    if "contentBlockIndex" not in event:
        return "messageStart" if "role" in event else "metadata", event
    return next((f"contentBlock{key.title()}" for key in ("delta", "start") if key in event), "contentBlockStop"), event


def _inner(chunk: _Event) -> _Event:
    """The vendor's event in a chunk; empty when there is none."""
    packed = text(chunk.get("bytes"))
    if packed is None:
        return chunk
    try:
        found = objects([base64.b64decode(packed)])
    except ValueError:
        return {}
    return found[0] if found else {}
