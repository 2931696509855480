from __future__ import annotations

import io
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_relay import logs
from llmtrace_sdk.config.relay import LogOptions
from llmtrace_sdk.core.fingerprint import Names
from llmtrace_sdk.core.model import Labels, Prompt
from llmtrace_sdk.faults import count_fault
from tests.relay.operations.records import SECRET, TENANT, call

if TYPE_CHECKING:
    from collections.abc import Iterator

RELAY_KEY = f"llmt_{'0f' * 32}"
NAMES = ("", "llmtrace", "uvicorn", "uvicorn.error", "uvicorn.access")


class Written:
    """What was written to standard error so far."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self._text = ""

    def getvalue(self) -> str:
        self._text += self._capture.readouterr().err
        return self._text


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Iterator[Written]:
    """Standard error, and afterwards the loggers as they were."""
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(each, each.level, each.handlers[:], each.propagate) for each in loggers]
    yield Written(capsys)
    for each, level, handlers, propagate in before:
        each.setLevel(level)
        each.handlers[:] = handlers
        each.propagate = propagate


def rows(stderr: Written) -> list[dict[str, Any]]:
    """Every line, which must be one JSON object."""
    return [json.loads(line) for line in stderr.getvalue().splitlines()]


def test_lines_for_people(stderr: Written) -> None:
    logs.setup(LogOptions())
    logging.getLogger("llmtrace.relay").warning("the spool has %d calls", 3)
    logs.log_call(call(), "POST")
    first, second = stderr.getvalue().splitlines()
    assert first.endswith("Z WARNING llmtrace.relay the spool has 3 calls")
    assert first[:2] == "20"
    assert (
        " INFO    llmtrace.access POST /v1/chat/completions status=200 ms=800.0 outcome=complete action=allow "
        in second
    )
    assert f"trace_id={'ab' * 16}" in second


def test_lines_for_programs(stderr: Written) -> None:
    logs.setup(LogOptions(format="json"))
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    blocked = call(outcome="blocked", status=None, streamed=False, action="block", reason="prompt_injection.high")
    logs.log_call(blocked, "POST", Names(b"secret"))
    first, second = rows(stderr)
    assert first["message"] == "Started server process [7]"
    assert (first["level"], first["logger"]) == ("info", "uvicorn.error")
    assert second.pop("time").endswith("Z")
    assert second == {
        "level": "info",
        "logger": "llmtrace.access",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 403,
        "ms": 800.0,
        "outcome": "blocked",
        "action": "block",
        "reason": "prompt_injection.high",
        "provider": "openai",
        "tenant": Names(b"secret").of("tenant", TENANT),
        "trace_id": "ab" * 16,
    }


@pytest.mark.parametrize(("level", "lines"), [("debug", 1), ("info", 1), ("warning", 0), ("error", 0)])
def test_calls_are_told_from_info_on(stderr: Written, level: Any, lines: int) -> None:
    logs.setup(LogOptions(level=level))
    logs.log_call(call(), "POST")
    assert len(stderr.getvalue().splitlines()) == lines


@pytest.mark.parametrize("level", ["debug", "info"])
def test_the_server_says_nothing_of_frames_and_queries(stderr: Written, level: Any) -> None:
    logs.setup(LogOptions(level=level))
    server = logging.getLogger("uvicorn.error")
    server.debug("> TEXT 'my prompt' [9 bytes]")
    server.info('%s - "WebSocket %s" [accepted]', "1.2.3.4", f"/v1/realtime?key={SECRET}")
    server.info('%s - "WebSocket %s" 403', "1.2.3.4", f"/v1/realtime?key={SECRET}")
    access = logging.getLogger("uvicorn.access")
    access.info('%s - "%s %s HTTP/%s" %d', "1.2.3.4", "GET", f"/v1/models?key={SECRET}", "1.1", 200)
    server.error("ASGI callable returned without completing response.")
    assert stderr.getvalue() == ""
    assert not access.hasHandlers()  # so the server does not even make its lines
    server.error("ASGI callable returned without starting response.")
    assert "without starting response" in stderr.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_is_told_without_its_message(stderr: Written, form: Any) -> None:
    logs.setup(LogOptions(format=form))
    try:
        int(f"cannot read {SECRET}")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    text = stderr.getvalue()
    assert len(text.splitlines()) == 1
    assert "builtins.ValueError at " in text
    assert "test_logs.py" in text
    assert SECRET not in text
    assert "cannot read" not in text


@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_private_is_logged(stderr: Written, form: Any) -> None:
    logs.setup(LogOptions(level="debug", format=form))
    private = call(
        path=f"/v1/{SECRET}/{RELAY_KEY}?api_key={SECRET}",
        prompt=Prompt(model="my own prompt"),
        labels=Labels(tenant=TENANT, trace=f"{SECRET} my words", session="my session", user="jane@example.org"),
        reason=f"{SECRET} said so",
    )
    logs.log_call(private, f"GET /{SECRET}\r\n")
    logging.getLogger("llmtrace.relay").warning("cannot reach %s with %s", SECRET, RELAY_KEY)
    count_fault(f"logs.{form}", OSError(SECRET))
    text = stderr.getvalue()
    assert len(text.splitlines()) == 3
    for word in (SECRET, RELAY_KEY, TENANT, "my own", "my words", "my session", "jane"):
        assert word not in text


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("path", ["/a\nINFO forged", "/a\r\nb", "/\x1b[2Jc", "/\u2028d", "/\ud800e", "/\x00f"])
def test_nobody_can_forge_a_line(stderr: Written, form: Any, path: str) -> None:
    logs.setup(LogOptions(format=form))
    logs.log_call(call(path=path), "GET")
    text = stderr.getvalue()
    assert len(text.splitlines()) == 1
    assert text.endswith("\n")
    assert text[:-1].isprintable()


def test_long_things_are_cut(stderr: Written) -> None:
    logs.setup(LogOptions())
    logs.log_call(call(path="/" + "x" * 100_000), "GET")
    logging.getLogger("llmtrace").warning("y" * 100_000)
    assert all(len(line) < 5_000 for line in stderr.getvalue().splitlines())


def test_it_may_be_set_up_again(stderr: Written) -> None:
    others = logging.NullHandler()
    logging.getLogger().addHandler(others)
    logs.setup(LogOptions(level="error"))
    logs.setup(LogOptions(level="warning", format="json"))
    logging.getLogger("llmtrace").warning("once")
    logging.getLogger("somebody").info("not asked for")
    assert [row["message"] for row in rows(stderr)] == ["once"]
    assert others in logging.getLogger().handlers


def test_a_log_that_nobody_reads_is_no_reason_to_fail(stderr: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", gone)
        logs.setup(LogOptions())
    gone.close()
    logging.getLogger("llmtrace").warning("nobody hears")
    assert stderr.getvalue() == ""


def test_line_ends_of_others_are_not_shown(stderr: Written) -> None:
    logs.setup(LogOptions())
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n")
    assert stderr.getvalue().endswith("Exception in ASGI application\n")
    assert len(stderr.getvalue().splitlines()) == 1
