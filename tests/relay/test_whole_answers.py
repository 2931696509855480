"""Who asked for a stream and gets one whole answer (an error, say) gets it as the upstream sent it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .inside import InsideRelay
from .raw import Message, RawUpstream, ask, post

if TYPE_CHECKING:
    import socket
    from pathlib import Path

CHAT = "/v1/chat/completions"
JSON = "content-type: application/json"
QUESTION = json.dumps({"model": "gpt-4", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}).encode()
ERROR = json.dumps({"error": {"message": "Rate limit reached", "type": "tokens", "code": "rate_limit_exceeded"}})


def completion(text: str) -> str:
    message = {"role": "assistant", "content": text}
    return json.dumps({"object": "chat.completion", "model": "gpt-4", "choices": [{"index": 0, "message": message}]})


def through(tmp_path: Path, mode: str, status: str, body: str, path: str = CHAT) -> Message:
    """What the relay makes of an answer with a length."""
    said = f"HTTP/1.1 {status}\r\n{JSON}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()

    def answer(connection: socket.socket, _: Message) -> None:
        connection.sendall(said)

    policy: dict[str, Any] = {"mode": mode, "min_severity": "medium", "min_confidence": 0.5}
    with RawUpstream(answer) as upstream, InsideRelay(tmp_path, upstream_url=upstream.url, enforcement=policy) as relay:
        return ask(relay.url, post(path, QUESTION, JSON))


@pytest.mark.parametrize("mode", ["log", "block", "redact"])
@pytest.mark.parametrize(
    ("status", "body"), [("429 Too Many Requests", ERROR), ("200 OK", completion("Good day")), ("200 OK", "{}")]
)
def test_its_length_stays(tmp_path: Path, mode: str, status: str, body: str) -> None:
    answer = through(tmp_path, mode, status, body)
    assert answer.body == body.encode()
    assert answer.get("content-length") == str(len(body))
    assert answer.get("transfer-encoding") is None


def test_it_is_judged_like_any_other(tmp_path: Path) -> None:
    answer = through(tmp_path, "block", "200 OK", completion("The card is 4111 1111 1111 1111."))
    assert b"4111" not in answer.body
    assert answer.get("x-llmtrace-action") == "block"


def test_what_is_taken_out_is_taken_out(tmp_path: Path) -> None:
    answer = through(tmp_path, "redact", "200 OK", completion("The card is 4111 1111 1111 1111."))
    assert b"4111" not in answer.body
    assert json.loads(answer.body)["choices"][0]["message"]["content"].startswith("The card is ")
    assert answer.get("content-length") == str(len(answer.body))


def test_lines_that_were_gathered_on_the_way_are_a_stream_still(tmp_path: Path) -> None:
    pieces = ["The card ", "is 4111 1111 ", "1111 1111.", ""]
    lines = [
        {"model": "llama3", "message": {"role": "assistant", "content": text}, "done": not text} for text in pieces
    ]
    answer = through(tmp_path, "redact", "200 OK", "\n".join(map(json.dumps, lines)), "/api/chat")
    said = "".join(json.loads(line)["message"]["content"] for line in answer.body.splitlines())
    assert said.startswith("The card is [")
    assert "4111" not in said
