"""Placeholders of what was taken out of a request come back as what they stand for, in whatever form they come."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmtrace_sdk as llmtrace
from llmtrace_sdk import runtime
from llmtrace_sdk.instrumentation import instrument

from .answers import FORMATS, block, compact, gzipped, message, response, said, texts, through
from .test_split_fuzz import SAID_IN, cut
from .wire import COLOURS, FAMILIES, HELLO, URL, Wire, fetch

if TYPE_CHECKING:
    from types import ModuleType

    from llmtrace_sdk.core.vault import Vault

NASTY = 'O"Hara \\ "Söhne"\n\t\\u0041 \U0001f600 {"a": [1]} \\'
UNKNOWN = "[EMAIL_ADDRESS_ABCDEFGHIJ]"
PLACEHOLDER = re.compile(r"\[[A-Z][A-Z0-9_]*_[A-Z2-7]{10}\]")
MAIL = "jane.doe@example.org"
CALLS = {"openai_chat": "arguments", "openai_responses": "delta", "anthropic": "partial_json"}


def configured(**options: Any) -> None:
    llmtrace.configure(enforcement={"mode": "redact", "min_severity": "low", "min_confidence": 0.3, **options})


@pytest.fixture
def vault() -> Vault:
    """The vault of the session `s` of nobody."""
    configured(pseudonyms="session")
    return runtime.current().pipeline.vault((None, "s"), b"")


def answered(name: str, pieces: list[str], *, call: bool = False, coding: bool = False) -> str:
    """What an answer in session `s` says."""
    fmt = FORMATS[name]
    say = fmt.call if call else fmt.say
    assert say is not None
    chunks = [*fmt.opening, *map(say, pieces), *fmt.ending("")]
    with llmtrace.context(session="s"):
        given = through(fmt, gzipped(chunks), coding="gzip") if coding else through(fmt, chunks)
    assert not given.blocked
    return "".join(texts(given.raw, CALLS[name] if call else SAID_IN[name]))


@pytest.mark.parametrize("name", SAID_IN)
def test_a_placeholder_in_text_cut_at_every_place(name: str, vault: Vault) -> None:
    mark = vault.placeholder(NASTY, "NAME")
    text = f"Dear {mark}, [1] see [note] and {UNKNOWN}. [{mark}]"
    for at in range(1, len(text)):
        assert answered(name, cut(text, [at, at + 3]), coding=at % 5 == 0) == text.replace(mark or "", NASTY)
    assert answered(name, list(text)) == text.replace(mark or "", NASTY)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_placeholder_in_arguments_cut_at_every_place(name: str, depth: int, vault: Vault) -> None:
    mark = vault.placeholder(NASTY, "NAME")
    value: Any = {"to": mark, "note": f'line\n"quoted" {mark} \\ [x] é', "n": [1, {"k": UNKNOWN}]}
    wanted: Any = json.loads(json.dumps(value).replace(mark or "", json.dumps(NASTY)[1:-1]))
    for _ in range(depth - 1):
        value = {"body": json.dumps(value)}
    source = json.dumps(value)
    for at in range(1, len(source)):
        assert innermost(json.loads(answered(name, cut(source, [at, at + 2]), call=True))) == wanted


def innermost(value: Any) -> Any:
    """What is left when JSON inside JSON is read as often as it can be."""
    while isinstance(value, dict) and set(value) == {"body"}:
        value = json.loads(value["body"])
    return value


@pytest.mark.parametrize("size", [1, 5, 400])
def test_text_that_is_json_stays_json(size: int, vault: Vault) -> None:
    mark = vault.placeholder(NASTY, "NAME")
    source = json.dumps({"name": mark, "list": [mark, f"to {mark}"]})
    pieces = [source[at : at + size] for at in range(0, len(source), size)]
    got = json.loads(answered("openai_chat", pieces))
    assert got == {"name": NASTY, "list": [NASTY, f"to {NASTY}"]}


@given(st.text(max_size=30), st.lists(st.integers(0, 400), max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_value_in_any_pieces(value: str, places: list[int]) -> None:
    configured(pseudonyms="session")
    known = runtime.current().pipeline.vault((None, "s"), b"")
    mark = known.placeholder("v" + value, "ANY")
    source = json.dumps({"a": f"x {mark}", "b": [mark]})
    got = answered("anthropic", cut(source, places), call=True)
    assert json.loads(got) == {"a": f"x v{value}", "b": [f"v{value}"]}


def test_a_thousand_values(vault: Vault) -> None:
    marks = {vault.placeholder(f'user "{n}"', "NAME"): f'user "{n}"' for n in range(1000)}
    text = " and ".join(map(str, marks))
    pieces = [text[at : at + 37] for at in range(0, len(text), 37)]
    assert answered("openai_chat", pieces) == " and ".join(marks.values())
    assert answered("openai_chat", [text]) == " and ".join(marks.values())


def test_events_that_repeat_the_whole_answer(vault: Vault) -> None:
    mark = vault.placeholder(NASTY, "NAME")
    fmt = FORMATS["openai_responses"]
    with llmtrace.context(session="s"):
        raw = through(fmt, fmt.stream(cut(f"Dear {mark}!", [9, 12]))).raw
    assert texts(raw, "text") == [f"Dear {NASTY}!"] * 4
    assert "".join(texts(raw, "delta")) == f"Dear {NASTY}!"
    arguments = json.dumps({"body": json.dumps({"to": mark})})
    item = {"type": "function_call", "name": "f", "call_id": "c", "arguments": ""}
    events = [
        response("output_item.added", output_index=1, item=item),
        *(fmt.call(piece) for piece in cut(arguments, [15, 30]) if fmt.call),
        response("function_call_arguments.done", arguments=arguments, item_id="fc_1", output_index=1),
        response("completed", response={"id": "r", "model": "m", "output": [item | {"arguments": arguments}]}),
    ]
    with llmtrace.context(session="s"):
        raw = through(fmt, events).raw
    wholes = [*texts(raw, "arguments")[1:], "".join(texts(raw, "delta"))]
    assert len(wholes) == 3
    assert all(json.loads(json.loads(whole)["body"]) == {"to": NASTY} for whole in wholes)


def test_several_blocks_each_for_itself(vault: Vault) -> None:
    mark = vault.placeholder(NASTY, "NAME") or ""
    start = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    events = [
        message("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        block({"type": "text_delta", "text": f"I ask {mark[:6]}"}),
        block({"type": "text_delta", "text": mark[6:]}),
        message("content_block_stop", index=0),
    ]
    for index in (1, 2):
        events.append(message("content_block_start", index=index, content_block=start))
        pieces = cut(json.dumps({"to": mark}), [9, 20])
        events += (block({"type": "input_json_delta", "partial_json": piece}, index) for piece in pieces)
        events.append(message("content_block_stop", index=index))
    with llmtrace.context(session="s"):
        given = through(FORMATS["anthropic"], [*events, message("message_stop")])
    assert "".join(texts(given.raw, "text")) == f"I ask {NASTY}"
    assert "".join(texts(given.raw, "partial_json")) == json.dumps({"to": NASTY}, ensure_ascii=False) * 2


class Echo:
    """A transport that answers with the placeholders of the request, whole or streamed."""

    def __init__(self, module: ModuleType) -> None:
        self.sent: list[bytes] = []
        self._module = module

    def answer(self, request: Any) -> Any:
        self.sent.append(request.content)
        asked = json.loads(request.content)
        marks = PLACEHOLDER.findall(request.content.decode())
        text = f"{' '.join(marks)} {UNKNOWN}"
        if asked.get("stream"):
            stream = b"".join(FORMATS["openai_chat"].stream(list(text)))
            return self._module.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return self._module.Response(200, json={"id": "c", "model": "m", "choices": [choice]})

    async def aanswer(self, request: Any) -> Any:
        return self.answer(request)


def exchanged(module: ModuleType, colour: str, echo: Echo, *asked: dict[str, Any]) -> list[str]:
    """What the answers to these requests say, all of one client."""
    if colour == "sync":
        with instrument(module.Client(transport=module.MockTransport(echo.answer))) as http:
            return [said_in(http.post(URL, json=each).content) for each in asked]

    async def main() -> list[str]:
        async with instrument(module.AsyncClient(transport=module.MockTransport(echo.aanswer))) as http:
            return [said_in((await http.post(URL, json=each)).content) for each in asked]

    return asyncio.run(main())


def said_in(raw: bytes) -> str:
    return "".join(texts(raw, "content"))


def asking(text: str, *, stream: bool) -> dict[str, Any]:
    return {"model": "m", "stream": stream, "messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize("module", FAMILIES)
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("stream", [False, True])
def test_there_and_back(module: ModuleType, colour: str, stream: bool) -> None:
    configured()
    echo = Echo(module)
    request = asking(f"Write to {MAIL}.", stream=stream)
    first, again, other = exchanged(module, colour, echo, request, request, asking(f"To {MAIL}", stream=stream))
    assert first == again == other == f"{MAIL} {UNKNOWN}"
    assert not any(MAIL.encode() in sent for sent in echo.sent)
    assert echo.sent[0] == echo.sent[1]
    marks = [PLACEHOLDER.findall(sent.decode()) for sent in echo.sent]
    assert marks[0] != marks[2]


@pytest.mark.parametrize("stream", [False, True])
def test_a_session_remembers_and_no_other_does(stream: bool) -> None:
    configured(pseudonyms="session")
    echo = Echo(httpx)
    with llmtrace.context(session="a"):
        exchanged(httpx, "sync", echo, asking(f"Write to {MAIL}.", stream=stream), asking(f"{MAIL}?", stream=stream))
    (mark,), (again,) = (PLACEHOLDER.findall(sent.decode()) for sent in echo.sent)
    assert mark == again
    for session, tenant, known in (("a", None, True), ("b", None, False), ("a", "t", False), (None, None, False)):
        with llmtrace.context(session=session, tenant=tenant):
            (said,) = exchanged(httpx, "sync", echo, asking(f"Who is {mark}?", stream=stream))
        assert said == f"{MAIL if known else mark} {UNKNOWN}"
        assert mark.encode() in echo.sent[-1]
    with llmtrace.context(session="b"):
        exchanged(httpx, "sync", echo, asking(f"Write to {MAIL}.", stream=stream))
    assert PLACEHOLDER.findall(echo.sent[-1].decode()) != [mark]


def test_off_means_marks_that_stay() -> None:
    configured(pseudonyms="off")
    echo = Echo(httpx2)
    (said,) = exchanged(httpx2, "sync", echo, asking(f"Write to {MAIL}.", stream=True))
    assert b"[REDACTED:pii_detected]" in echo.sent[0]
    assert said == f" {UNKNOWN}"


@pytest.mark.parametrize("module", FAMILIES)
@pytest.mark.parametrize("colour", COLOURS)
def test_placeholders_of_nobody_stay(module: ModuleType, colour: str) -> None:
    configured()
    chunks = FORMATS["openai_chat"].stream(list(f"Dear {UNKNOWN}"))
    _, out = fetch(module, colour, Wire(chunks, [("content-type", "text/event-stream")]), json=HELLO | {"stream": True})
    assert b"".join(out) == b"".join(chunks)


def test_what_was_restored_is_not_redacted_again(vault: Vault) -> None:
    mark = vault.placeholder(MAIL, "EMAIL_ADDRESS")
    assert answered("openai_chat", cut(f"Ask {mark} or tom.ray@example.com now", [9, 40, 50])) == (
        f"Ask {MAIL} or [REDACTED:pii_detected] now"
    )
    assert MAIL not in said(compact({"content": mark}))
