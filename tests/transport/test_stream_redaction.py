"""What is changed in a stream, what is not, and when it comes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmtrace_sdk as llmtrace
from llmtrace_sdk import runtime
from llmtrace_sdk.core.streaming import _holding

from .answers import (
    FORMATS,
    SSE,
    block,
    chat,
    chat_call,
    compact,
    gemini,
    gzipped,
    message,
    ollama,
    response,
    said,
    sse,
    texts,
    through,
)
from .test_split_fuzz import SAID_IN, cut
from .wire import COLOURS, FAMILIES, HELLO, URL, Wire, client, fetch

if TYPE_CHECKING:
    from types import ModuleType

    from llmtrace_sdk.testing import Records

KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
MAIL = "jane.doe@example.org"
CHAT = FORMATS["openai_chat"]
ASKED = HELLO | {"stream": True}
PERSON, SECRET = "[REDACTED:pii_detected]", "[REDACTED:secret_leakage]"
TEXTS = {
    "english": "The quick brown fox jumps over the lazy dog. In 1969, people first walked on the Moon; since then only "
    "twelve have. Install it with pip, import the module and call `main()`. Is there anything else? My phone is old!",
    "german": "Der schnelle braune Fuchs springt über den faulen Hund. Bitte teilen Sie mir mit, ob ich noch etwas für "
    "Sie tun kann! Straße, Größe, Äpfel: 12,50 € am 24.12.",
    "chinese": "人工智能正在改变世界。我们可以用它来写作、翻译和编程。请告诉我您还需要什么帮助,谢谢!",
    "code": 'def area(radius: float) -> float:\n    """The area of a circle."""\n    return 3.14159 * radius ** 2\n\n'
    'for key, value in items.items():\n    print(f"{key}: {value:>10}")\n',
    "json": json.dumps({"city": "Berlin", "days": 3, "note": 'line one\nline "two"', "path": "C:\\temp\\x", "l": [1]}),
}


@pytest.fixture(autouse=True)
def _redacting() -> None:
    redacting()


def redacting(mode: str = "redact") -> None:
    llmtrace.configure(enforcement={"mode": mode, "min_severity": "low", "min_confidence": 0.3})


def words(text: str) -> list[str]:
    """Pieces as models make them: a word with the space in front of it, a mark, a line end."""
    return re.findall(r"[^\S\n]?\w+|[^\S\n]?[^\w\s]|\s", text)


def live(text: str) -> int:
    """From where on a text is kept back."""
    pipeline = runtime.current().pipeline
    return _holding(pipeline.engine, pipeline.policy, "assistant", "text").live_from(text, 0)


@pytest.mark.parametrize("mode", ["block", "redact"])
@pytest.mark.parametrize("language", TEXTS)
def test_nothing_waits_but_what_may_become_a_match(language: str, mode: str) -> None:
    redacting(mode)
    pieces = words(TEXTS[language])
    assert "".join(pieces) == TEXTS[language]
    events = [*map(chat_call if language == "json" else CHAT.say, pieces), *CHAT.ending("")]
    result = through(CHAT, events)
    assert result.chunks == events
    out, late = 0, 0
    for number, step in enumerate(result.steps):
        out += len(step)
        waits = pieces[out : number + 1]
        late += len(waits) > 1
        if language != "json" and number < len(pieces):
            text = "".join(pieces[: number + 1])
            kept = text[live(text) :]
            # the first piece that waits is the one in which something may begin
            assert (not kept and not waits) or len("".join(waits[1:])) < len(kept) <= len("".join(waits)), waits
        assert len(waits) <= 4
    assert late < len(pieces) / (2 if language == "json" else 3)


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("coding", [False, True])
def test_text_without_a_match_is_not_touched(name: str, language: str, coding: bool) -> None:
    events = FORMATS[name].stream(words(TEXTS[language]))
    result = through(FORMATS[name], gzipped(events) if coding else events, coding="gzip" if coding else "")
    if coding and name == "bedrock":  # its events cannot be changed, so the coding need not be undone
        assert result.chunks == gzipped(events)
    else:
        assert result.chunks == events


@given(st.lists(st.text(max_size=12), max_size=12), st.lists(st.integers(1, 3000), max_size=6))
@settings(max_examples=80, deadline=None)
def test_any_text_in_any_chunks(pieces: list[str], places: list[int]) -> None:
    redacting()
    chunks = cut(b"".join(CHAT.stream(pieces)), places)
    result = through(CHAT, chunks)
    if "REDACTED" not in said(result.raw):
        assert [chunk for chunk in chunks if chunk] == result.chunks


@pytest.mark.parametrize("name", SAID_IN)
def test_the_rest_is_byte_for_byte_what_it_was(name: str) -> None:
    fmt = FORMATS[name]
    before, after = (
        fmt.stream(["I ask ", MAIL[:6], MAIL[6:], " é\n", "now"]),
        fmt.stream(["I ask ", PERSON, "", " é\n", "now"]),
    )
    assert through(fmt, before).chunks == after


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("at", ["@", "\\u0040"])
def test_arguments_of_tools(size: int, at: str) -> None:
    source = json.dumps({"to": MAIL, "note": f'line\n"q" \\{KEY} ünd'}).replace("@", at)
    pieces = [source[begin : begin + size] for begin in range(0, len(source), size)]
    raw = through(CHAT, [*map(chat_call, pieces), *CHAT.ending("")]).raw
    assert json.loads("".join(texts(raw, "arguments"))) == {"to": PERSON, "note": f'line\n"q" \\{SECRET} ünd'}


def test_events_that_repeat_the_arguments() -> None:
    source = json.dumps({"to": MAIL, "note": f"\n{KEY}"})
    fmt = FORMATS["openai_responses"]
    item = {"type": "function_call", "name": "f", "call_id": "c", "arguments": ""}
    events = [
        response("output_item.added", output_index=1, item=item),
        *(
            response("function_call_arguments.delta", delta=p, item_id="i", output_index=1)
            for p in cut(source, [9, 15])
        ),
        response("function_call_arguments.done", arguments=source, item_id="i", output_index=1),
        response("completed", response={"id": "r", "model": "m", "output": [item | {"arguments": source}]}),
    ]
    raw = through(fmt, events).raw
    wanted = json.dumps({"to": PERSON, "note": f"\n{SECRET}"})
    assert [*texts(raw, "arguments"), "".join(texts(raw, "delta"))] == ["", wanted, wanted, wanted]


def test_more_values_than_a_scan_reports() -> None:
    people = [f"user{number}@example.org" for number in range(300)]
    text = " ".join(people)
    for pieces in ([text], words(text)):
        for name in ("openai_chat", "openai_responses"):
            raw = through(FORMATS[name], FORMATS[name].stream(pieces)).raw
            assert "".join(texts(raw, SAID_IN[name])) == " ".join([PERSON] * 300)
            assert "@example" not in said(raw)


def test_a_match_that_grows() -> None:
    for pieces in (["mail a.b@example.co", ".uk ok"], ["mail a.b@example", ".co", ".uk", " ok"]):
        assert "".join(texts(through(CHAT, CHAT.stream(pieces)).raw, "content")) == f"mail {PERSON} ok"


def test_arguments_that_are_no_text() -> None:
    call = {"functionCall": {"name": "send", "args": {"to": MAIL, "n": 5, "k": [f"x {KEY}"]}}}
    raw = through(FORMATS["gemini"], [gemini({"text": "So. "}), gemini(call, finishReason="STOP")]).raw
    assert raw.endswith(
        gemini(
            {"functionCall": {"name": "send", "args": {"to": PERSON, "n": 5, "k": [f"x {SECRET}"]}}},
            finishReason="STOP",
        )
    )
    calls = [{"function": {"name": "send", "arguments": {"to": MAIL}}}]
    event = compact({"model": "m", "message": {"role": "assistant", "content": "", "tool_calls": calls}, "done": False})
    assert texts(through(FORMATS["ollama"], [event + b"\n", ollama("", done=True)]).raw, "to") == [PERSON]


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_one_line_announced_as_json_comes_once(done: bool, end: bytes) -> None:
    before, after = (ollama(f"Ask {text} now", done=done).rstrip() + end for text in (MAIL, PERSON))
    for chunks in ([before], cut(before, [50, 60])):
        assert through(FORMATS["ollama"], chunks, content_type="application/json").raw == after


def test_what_cannot_be_changed_ends_the_stream() -> None:
    number = {"functionCall": {"name": "pay", "args": {"card": 4111111111111111}}}
    events = [gemini({"text": "So. "}), gemini(number, finishReason="STOP")]
    result = through(FORMATS["gemini"], events)
    assert (result.blocked, result.chunks) == (True, events[:1])
    assert result.exchange.decision.reason == "rewrite_failed"
    two_lines = (
        chat({"content": f"It is {KEY}. "})
        .replace(b',"choices"', b',\r\ndata: "choices"')
        .replace(b"\n\n", b"\r\n\r\n")
    )
    result = through(CHAT, [chat({"content": "Well. "}), two_lines, *CHAT.ending("")])
    assert (result.blocked, result.chunks) == (True, [chat({"content": "Well. "})])


def test_events_with_lengths_and_sums_are_not_changed() -> None:
    fmt = FORMATS["bedrock"]
    result = through(fmt, fmt.stream(["Ask ", MAIL[:5], MAIL[5:], " now"]))
    assert result.blocked
    assert result.chunks == [*fmt.opening, fmt.say("Ask ")]


@pytest.mark.parametrize("ends", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_line_ends_stay_what_they_are(ends: bytes) -> None:
    def as_said(text: str) -> list[bytes]:
        return [event.replace(b"\n\n", ends) for event in CHAT.stream(["So ", text, " ok"])]

    whole = b"".join(as_said(MAIL))
    for at in range(1, len(whole)):
        assert through(CHAT, cut(whole, [at, at + 40])).raw == b"".join(as_said(PERSON))


def test_a_server_tool_and_its_result() -> None:
    tool = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    hit = {"type": "web_search_result", "title": f"Ask {MAIL}", "url": "https://example.com/", "encrypted_content": "x"}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [hit]}
    events = [
        message("content_block_start", index=0, content_block=tool),
        *(block({"type": "input_json_delta", "partial_json": piece}) for piece in ('{"query": "', MAIL, '"}')),
        message("content_block_stop", index=0),
        message("content_block_start", index=1, content_block=found),
        message("content_block_stop", index=1),
        message("message_stop"),
    ]
    raw = through(FORMATS["anthropic"], events).raw
    assert MAIL not in said(raw)
    assert texts(raw, "title") == [f"Ask {PERSON}"]
    assert "".join(texts(raw, "partial_json")) == json.dumps({"query": PERSON})


@pytest.mark.parametrize("module", FAMILIES)
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("coding", [False, True])
def test_heads_promise_nothing_that_may_change(
    module: ModuleType, colour: str, coding: bool, llmtrace_records: Records
) -> None:
    events = CHAT.stream(["Ask ", MAIL, " now"])
    chunks = gzipped(events) if coding else events
    fields = [("content-type", SSE), ("content-length", str(sum(map(len, chunks)))), ("x-kept", "1")]
    wire = Wire(chunks, [*fields, *([("content-encoding", "gzip")] if coding else [])])
    answer, out = fetch(module, colour, wire, json=ASKED)
    assert "".join(texts(b"".join(out), "content")) == f"Ask {PERSON} now"
    assert dict(answer.headers) == {"content-type": SSE, "x-kept": "1"}
    (record,) = llmtrace_records.settled()
    assert (record.decision.action, record.changes, record.outcome) == ("redact", 1, "complete")


def test_an_application_that_stops_at_the_end_mark(llmtrace_records: Records) -> None:
    events = CHAT.stream(["Ask ", MAIL, " now"])
    with (
        client(httpx, "sync", Wire(events, [("content-type", SSE)])) as http,
        http.stream("POST", URL, json=ASKED) as answer,
    ):
        for chunk in answer.iter_raw():
            if b"[DONE]" in chunk:
                break
    (record,) = llmtrace_records.settled()
    assert (record.decision.action, record.stream_end) == ("redact", "complete")


def test_the_same_value_said_twice_and_in_other_answers() -> None:
    events = [chat({"content": piece}, choice=at) for piece in ("Ask ", MAIL, " or ", MAIL, ". ") for at in (0, 1)]
    raw = through(CHAT, [*events, sse(b"[DONE]")]).raw
    assert "".join(texts(raw, "content")) == "Ask Ask " + PERSON * 2 + " or  or " + PERSON * 2 + ". . "
