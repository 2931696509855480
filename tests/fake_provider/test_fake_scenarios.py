"""What each scenario does to the bytes."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_sdk.fake_provider import FakeProvider, scenario
from llmtrace_sdk.fake_provider.answer import TEXTS
from llmtrace_sdk.fake_provider.scenario import PLAIN, UnknownScenario

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

CHAT = "/v1/chat/completions"
WHOLE = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
STREAM = WHOLE | {"stream": True}


def streamed_text(events: list[Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


def raw_request(body: dict[str, Any], asked: str) -> bytes:
    data = json.dumps(body).encode()
    lines = f"host: fake\r\nx-fake-scenario: {asked}\r\nconnection: close\r\ncontent-length: {len(data)}"
    return f"POST {CHAT} HTTP/1.1\r\n{lines}\r\n\r\n".encode() + data


def chunks_of(received: bytes) -> list[bytes]:
    """The chunks of a chunked body, as they were framed."""
    body = received.partition(b"\r\n\r\n")[2]
    chunks = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        chunks.append(rest[: int(size, 16)])
        body = rest[int(size, 16) + 2 :]
    return chunks


@pytest.mark.parametrize("text", ["", " , ", "identity"])
def test_parse_of_nothing(text: str) -> None:
    assert scenario.parse(text).text == PLAIN.text


def test_parse_reads_values() -> None:
    parsed = scenario.parse("secret, chunks=20,delay=1.5,type=text/plain; charset=x,no-done,deep")
    assert (parsed.text, parsed.chunks, parsed.delay_s, parsed.media) == ("secret", 20, 0.0015, "text/plain; charset=x")
    assert parsed.no_done
    assert parsed.deep == 10_000


@pytest.mark.parametrize(
    "text",
    ["what", "chunks", "chunks=0", "chunks=x", "status=200", "delay=-1", "delay=nan", "usage=1", "plain=1", "type="],
)
def test_parse_refuses_what_it_does_not_know(text: str) -> None:
    with pytest.raises(UnknownScenario, match=text.partition("=")[0]):
        scenario.parse(text)


def test_header_wins_over_query_and_query_over_model(ask: Any) -> None:
    body = WHOLE | {"model": "m+n=2"}
    assert len(ask(CHAT, body).json()["choices"]) == 2
    assert len(ask(CHAT + "?fake=n%3D3,plain", body).json()["choices"]) == 3
    assert len(ask(CHAT + "?fake=n=3", body, "n=4").json()["choices"]) == 4


def test_events_are_chunks_of_their_own(wire: socket.socket, until_close: Callable[[socket.socket], bytes]) -> None:
    wire.sendall(raw_request(STREAM, "chunks=5"))
    chunks = chunks_of(until_close(wire))
    assert chunks.pop() == b""
    assert len(chunks) == 5 + 3
    assert all(chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") for chunk in chunks)
    assert chunks[-1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_split_regroups_the_bytes(
    wire: socket.socket, until_close: Callable[[socket.socket], bytes], size: int
) -> None:
    wire.sendall(raw_request(STREAM, f"split={size}"))
    chunks = [chunk for chunk in chunks_of(until_close(wire)) if chunk]
    assert {len(chunk) for chunk in chunks[:-1]} == {size}
    assert b"".join(chunks).endswith(b"data: [DONE]\n\n")


def test_delay_spaces_the_events_and_first_the_head(wire: socket.socket) -> None:
    wire.sendall(raw_request(STREAM, "chunks=3,delay=20,first=60"))
    begun, arrivals = time.perf_counter(), []
    while wire.recv(65536):
        arrivals.append(time.perf_counter() - begun)
    assert arrivals[0] >= 0.055
    assert arrivals[-1] >= 0.055 + 5 * 0.018


def test_delay_with_split_paces_a_whole_body(ask: Any) -> None:
    begun = time.perf_counter()
    answer = ask(CHAT, WHOLE, "delay=10,split=200")
    assert time.perf_counter() - begun >= 0.02
    assert answer.json()["choices"][0]["message"]["content"] == TEXTS["plain"]


def unbrotli(body: bytes) -> Any:
    return pytest.importorskip("brotli").decompress(body)


def unzstd(body: bytes) -> Any:
    return pytest.importorskip("zstandard").ZstdDecompressor().decompressobj().decompress(body)


DECODERS: dict[str, Callable[[bytes], Any]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": unbrotli,
    "zstd": unzstd,
    "identity": bytes,
}


@pytest.mark.parametrize("body", [WHOLE, STREAM])
@pytest.mark.parametrize("encoding", DECODERS)
def test_encodings(ask: Any, encoding: str, body: dict[str, Any]) -> None:
    answer = ask(CHAT, body, encoding)
    if answer.status == 400:
        pytest.skip(answer.json()["error"]["message"])
    assert answer.headers["content-encoding"] == encoding
    plain = DECODERS[encoding](answer.body)
    assert b"The ferry" in plain
    assert plain.endswith(b"}" if body is WHOLE else b"data: [DONE]\n\n")


def test_each_encoded_event_can_be_decoded_as_it_comes(
    wire: socket.socket, until_close: Callable[[socket.socket], bytes]
) -> None:
    wire.sendall(raw_request(STREAM, "gzip,chunks=4"))
    decoder = zlib.decompressobj(31)
    plain = [decoder.decompress(chunk) for chunk in chunks_of(until_close(wire))]
    assert [text.endswith(b"\n\n") for text in plain[:7]] == [True] * 7
    assert decoder.eof


def test_crlf_and_comments(ask: Any) -> None:
    body = ask(CHAT, STREAM, "crlf,comments").body
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert body.startswith(b': keep-alive\r\ndata: {\r\ndata: "id"')


def test_no_done(ask: Any) -> None:
    assert b"[DONE]" not in ask(CHAT, STREAM, "no-done").body
    assert b"message_stop" not in ask("/v1/messages", STREAM, "no-done").body


def test_type_lies(ask: Any) -> None:
    assert ask(CHAT, WHOLE, "type=text/html").headers["content-type"] == "text/html"


@pytest.mark.parametrize("body", [WHOLE, STREAM])
def test_bad_json(ask: Any, body: dict[str, Any]) -> None:
    answer = ask(CHAT, body, "bad-json")
    with pytest.raises(json.JSONDecodeError):
        answer.json() if body is WHOLE else answer.events()


@pytest.mark.parametrize("body", [WHOLE, STREAM])
def test_bad_utf8(ask: Any, body: dict[str, Any]) -> None:
    with pytest.raises(UnicodeDecodeError):
        ask(CHAT, body, "bad-utf8").body.decode()


@pytest.mark.parametrize("body", [WHOLE, STREAM])
def test_deep(ask: Any, body: dict[str, Any]) -> None:
    received = ask(CHAT, body, "deep=5000").body
    assert received.count(b"[" * 5000) == 1
    assert received.count(b"]" * 5000) == 1


@pytest.mark.parametrize("body", [WHOLE, STREAM])
def test_huge(ask: Any, body: dict[str, Any]) -> None:
    answer = ask(CHAT, body, "huge=3000000")
    text = answer.json()["choices"][0]["message"]["content"] if body is WHOLE else streamed_text(answer.events())
    assert len(text) == 3_000_000


@pytest.mark.parametrize("body", [WHOLE, STREAM])
def test_bomb_is_small_on_the_wire_and_still_valid(ask: Any, body: dict[str, Any]) -> None:
    answer = ask(CHAT, body, "bomb=8")
    plain = gzip.decompress(answer.body)
    assert len(answer.body) < 20_000
    assert len(plain) > 8 << 20
    assert TEXTS["plain"][:10].encode() in plain


@pytest.mark.parametrize("body", [WHOLE, STREAM])
def test_endless_line(wire: socket.socket, body: dict[str, Any]) -> None:
    # HTTP/1.0 has no chunks, whose size lines would break the line up.
    wire.sendall(raw_request(body, "endless-line").replace(b"HTTP/1.1", b"HTTP/1.0"))
    received = b""
    while len(received) < 3_000_000:
        received += wire.recv(1 << 20)
    assert len(received.rpartition(b"\n")[2]) > 2_900_000


@pytest.mark.parametrize("body", [WHOLE, STREAM])
@pytest.mark.parametrize("after", [0, 1, 100])
def test_cut_closes_after_so_many_body_bytes(
    wire: socket.socket, until_close: Callable[[socket.socket], bytes], body: dict[str, Any], after: int
) -> None:
    wire.sendall(raw_request(body, f"cut={after}"))
    head, _, rest = until_close(wire).partition(b"\r\n\r\n")
    if b"chunked" in head:
        assert not rest.endswith(b"0\r\n\r\n")
        rest = b"".join(chunks_of(b"\r\n\r\n" + rest))
    assert len(rest) == after


def test_cut_head(wire: socket.socket, until_close: Callable[[socket.socket], bytes]) -> None:
    wire.sendall(raw_request(WHOLE, "cut-head"))
    received = until_close(wire)
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\n\r\n" not in received


def test_usage_off_and_on(ask: Any) -> None:
    assert "usage" not in ask(CHAT, WHOLE, "usage=off").json()
    assert "usage" not in ask("/v1/messages", WHOLE, "usage=off").json()
    assert ask(CHAT, STREAM, "usage=on").events()[-1]["usage"]["total_tokens"] > 0


def test_content_as_parts(ask: Any) -> None:
    message = ask(CHAT, WHOLE, "parts,reasoning").json()["choices"][0]["message"]
    assert [part["type"] for part in message["content"]] == ["thinking", "text"]
    deltas = [choice["delta"] for event in ask(CHAT, STREAM, "parts").events() for choice in event["choices"]]
    assert "".join(part["text"] for delta in deltas for part in delta.get("content") or ()) == TEXTS["plain"]


def test_same_request_gives_the_same_bytes(fake: FakeProvider, ask: Any) -> None:
    def without_ids(body: bytes) -> Any:
        return {key: value for key, value in json.loads(body).items() if key != "id"}

    assert without_ids(ask(CHAT, WHOLE).body) == without_ids(ask(CHAT, WHOLE).body)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (CHAT, "error"), ("/v1/messages", "error"), ("/v1beta/models/g:generateContent", "error"),
        ("/api/chat", "error"), ("/v2/chat", "message"), ("/model/m/converse", "message"),
        ("/v1/predictions", "detail"), ("/mcp", "error"),
    ],
)  # fmt: skip
def test_status_in_each_vendors_shape(ask: Any, path: str, field: str) -> None:
    answer = ask(path, WHOLE, "status=503")
    assert answer.status == 503
    assert answer.json()[field]
