"""Released bytes and ending of a held stream: what the policy forbids is in neither, and nothing grows."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest
from msgspec import structs

import llmtrace_sdk as llmtrace
from llmtrace_sdk import faults, runtime
from llmtrace_sdk.core import endings
from llmtrace_sdk.core.effects import Limits
from llmtrace_sdk.core.endings import Ending
from llmtrace_sdk.core.exchange import Exchange
from llmtrace_sdk.core.model import Delta
from llmtrace_sdk.core.window import Held, Slot
from llmtrace_sdk.providers import openai_chat
from llmtrace_sdk.typing import Endpoint, Told
from tests.endings_rig import Shape, given, made, stopped
from tests.endings_shapes import CHAT, COHERE, GEMINI, MESSAGES, OLLAMA, RESPONSES
from tests.transport.answers import gzipped, texts

if TYPE_CHECKING:
    from llmtrace_sdk.fake_provider import FakeProvider

KEY: Final = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
ADDRESS: Final = "ilse.brandt@example.org"
TEXT: Final = f"Write to {ADDRESS} as soon as you can, and then use the key {KEY} to get in."
ENDPOINT: Final = Endpoint("openai", "chat", "chat_completions")


def saying(shape: Shape, text: str = TEXT) -> Shape:
    """The shape of an answer that says a text in many pieces."""
    packed = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return shape._replace(scenario=f"say={packed},chunks=20")


@pytest.fixture(autouse=True)
def _policy() -> None:
    llmtrace.configure(
        enforcement={
            "mode": "block",
            "categories": [{"finding_type": "pii_detected", "action": "redact", "min_severity": "info"}],
        }
    )


@pytest.mark.parametrize("size", [None, 40])
@pytest.mark.parametrize("shape", [CHAT, RESPONSES, MESSAGES, GEMINI, OLLAMA, COHERE], ids=lambda shape: shape.name)
def test_what_is_forbidden_is_in_neither(shape: Shape, size: int | None, provider: FakeProvider) -> None:
    shape = saying(shape)
    raw = b"".join(events := shape.events(provider))
    chunks = events if size is None else [raw[begin : begin + size] for begin in range(0, len(raw), size)]
    cut = given(made(shape), chunks)
    assert cut.exchange.stopped
    assert cut.ending is not None
    assert json.dumps(cut.exchange.id).encode() in cut.ending
    assert b"secret_leakage.critical" in cut.ending
    told = "".join(texts(cut.whole, "content", "text", "delta", "thinking"))
    assert "Write to [" in told
    for forbidden in (ADDRESS, KEY, KEY[:12], "ilse", "get in"):
        assert forbidden not in told
        assert forbidden.encode() not in cut.whole
    (record,) = [cut.exchange.record()]
    assert (record.outcome, record.decision.reason) == ("blocked", "secret_leakage.critical")
    assert not faults.faults["ending"]


def test_a_response_says_what_was_said(provider: FakeProvider) -> None:
    """With what was taken out of it, not as the vendor said it."""
    shape = saying(RESPONSES)
    cut = given(made(shape), shape.events(provider))
    said = "".join(texts(cut.out, "delta"))
    assert said.startswith("Write to [REDACTED:")
    assert cut.ending is not None
    assert texts(cut.ending, "text") == [said] * 4  # done, part, item, response


def test_json_that_was_cut_off_is_not_said_to_be_done(provider: FakeProvider) -> None:
    """SDKs parse it, by the schema, as soon as it is."""
    shape = saying(RESPONSES)
    events = [event.replace(b'{"type":"text"}', b'{"type":"json_schema"}') for event in shape.events(provider)]
    cut = given(made(shape), events)
    assert cut.ending is not None
    assert b'"json_schema"' in cut.ending
    assert b"response.output_text.done" not in cut.ending
    assert b"response.content_part.done" in cut.ending


def test_counts_that_were_told_are_told_again(provider: FakeProvider) -> None:
    events = [event.replace(b'"output_tokens":1,', b'"output_tokens":3,') for event in MESSAGES.events(provider)]
    llmtrace.configure(enforcement={"mode": "block", "unscanned": "block"})
    assert b'"usage":{"output_tokens":3}' in (stopped(MESSAGES, events, 4).ending or b"")
    assert b'"usage"' not in (stopped(CHAT, CHAT.events(provider), 4).ending or b"")


def test_a_content_coding_is_undone(provider: FakeProvider) -> None:
    shape = saying(CHAT)
    events = shape.events(provider)
    plain, coded = given(made(shape), events), given(made(shape, coding="gzip"), gzipped(events))
    assert coded.exchange.recoded
    assert coded.out == plain.out
    assert coded.ending is not None


def test_a_content_coding_that_nobody_knows() -> None:
    """What went on is as it came, so that nothing readable could be sent behind it."""
    llmtrace.configure(enforcement={"mode": "block", "unscanned": "block"})
    exchange = made(CHAT, coding="unheard-of")
    assert not exchange.recoded
    cut = given(exchange, [b"\x00\x01"])
    assert (cut.exchange.stopped, cut.out, cut.ending) == (True, b"", None)


def test_nobody_asked_for_an_ending(provider: FakeProvider) -> None:
    shape = saying(CHAT)
    llmtrace.configure(enforcement={"mode": "block"})
    exchange = made(shape, ends=False)
    assert not exchange.recoded
    cut = given(exchange, shape.events(provider))
    assert cut.exchange.stopped
    assert cut.ending is None
    assert given(made(shape), shape.events(provider)).out == cut.out


def test_a_stream_that_goes_through_has_no_ending(provider: FakeProvider) -> None:
    events = CHAT.events(provider)
    cut = given(made(CHAT), events)
    assert (cut.out, cut.ending) == (b"".join(events), None)


class _Other:
    """A third party's wire format. `ending` is there or not, as it is given."""

    def __init__(self, **more: Any) -> None:
        self.__dict__ |= more

    def __getattr__(self, name: str) -> Any:
        if name == "ending":
            raise AttributeError(name)
        return getattr(openai_chat.PROVIDER, name)


def _broken(*_: Any) -> bytes:
    raise RuntimeError


@pytest.mark.parametrize("more", [{}, {"ending": _broken}, {"ending": lambda *_: None}])
def test_a_wire_format_that_has_no_ending(more: dict[str, Any], provider: FakeProvider) -> None:
    shape = saying(CHAT)
    before = faults.faults["ending"]
    cut = given(made(shape, lambda _: _Other(**more)), shape.events(provider))
    assert cut.exchange.stopped
    assert cut.ending is None
    assert faults.faults["ending"] - before == (more.get("ending") is _broken)
    faults.faults.pop("ending", None)


def test_an_answer_that_was_no_stream(provider: FakeProvider) -> None:
    shape = saying(CHAT)._replace(media="application/json")
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}}]}
    cut = given(made(shape), [json.dumps(body).encode()])
    assert (cut.exchange.stopped, cut.out, cut.ending) == (True, b"", None)


def test_more_than_may_be_held(monkeypatch: pytest.MonkeyPatch, provider: FakeProvider) -> None:
    """Then everything goes on as it comes, and not in events any more."""
    llmtrace.configure(enforcement={"mode": "block"})
    small = structs.replace(runtime.current().pipeline, limits=Limits(response_bytes=200))
    monkeypatch.setattr(runtime.current(), "pipeline", small)
    shape = saying(CHAT, f"It is {KEY} as said.")
    cut = given(made(shape), shape.events(provider))
    assert "hold_limit" in cut.exchange.coverage.reasons
    assert cut.exchange.stopped
    assert cut.ending is None


def _event(number: int, delta: Delta | None, size: int = 200) -> Held:
    event = Held(0, 0, f"{number:06}".encode().ljust(size))
    if delta is not None:
        event.deltas = (delta,)
        event.slots.append(Slot(delta.text, event))
    return event


def _told(ending: Ending) -> Told:
    seen: list[Told] = []
    ending._make = lambda _, __, told: seen.append(told) or b""
    inspection: Any = SimpleNamespace(prompt=SimpleNamespace(model="m"), plain=b"", decision=None)
    held: Any = SimpleNamespace(up_to_now=lambda: b"", framing="sse")
    assert ending.made(inspection, held, 0) == b""
    return seen[0]


def test_little_is_kept_of_a_long_stream() -> None:
    ending = Ending(lambda *_: b"", ENDPOINT)
    for number in range(20_000):
        delta = Delta("a", part=number % 300, pointer=f"/{number % 300}") if number % 2 else None
        ending.note(_event(number, delta))
    told = _told(ending)
    numbers = [int(data) for data in told.events]
    assert numbers == sorted(numbers)
    assert numbers[: endings.FIRST_EVENTS] == list(range(endings.FIRST_EVENTS))
    assert numbers[-1] == 19_999
    assert len(numbers) == endings.FIRST_EVENTS + endings.QUIET_EVENTS + endings.PIECES
    assert told.said is not None
    assert {len(segment.text) for segment in told.said} == {66, 67}


def test_large_events_are_not_kept() -> None:
    ending = Ending(lambda *_: b"", ENDPOINT)
    for number in range(100):
        ending.note(_event(number, None, endings.EVENT_BYTES))
    kept = endings.FIRST_EVENTS + endings.QUIET_BYTES // endings.EVENT_BYTES
    assert len(_told(ending).events) == kept
    ending.note(_event(100, None, endings.EVENT_BYTES + 1))
    assert len(_told(ending).events) == kept


def test_a_text_without_measure_is_not_said_again() -> None:
    ending = Ending(lambda *_: b"", ENDPOINT)
    for number in range(3):
        ending.note(_event(number, Delta("x" * (endings.TEXT_LIMIT // 2), pointer="/a")))
    assert _told(ending).said is None


def test_where_it_is_an_exchange_of_nobodys() -> None:
    exchange = Exchange(runtime.current().pipeline, made(CHAT).head, None, None, made(CHAT).labels, ends=True)
    assert exchange.ending() is None
