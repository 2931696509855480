"""Texts are kept in the form that was asked for, and not beyond their limit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from llmtrace_sdk.config.relay import StorageOptions
from llmtrace_sdk.config.settings import DetectionOptions

from .building import Reported, chat, messages, of

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_relay.model import Span

    One = Callable[..., Span]

MAIL, KEY = "jane.doe@example.org", "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


def secretive() -> Reported:
    reported = chat(f"I am {MAIL}", f"Use {KEY}", app__who=MAIL)
    answer = json.loads(str(reported.attributes["gen_ai.output.messages"]))
    answer[0]["parts"].append({"type": "tool_call", "name": "mail", "arguments": {"to": MAIL}})
    reported.attributes["gen_ai.output.messages"] = json.dumps(answer)
    return reported


def whole(span: Span) -> str:
    return msgspec.json.encode(span).decode()


def test_redacted(one: One) -> None:
    span = one(of(secretive()))
    assert span.prompt == "user: I am [REDACTED:pii_detected]"
    assert span.response is not None
    assert span.response.startswith("Use [REDACTED:")
    assert span.agent_actions[0].arguments == '{"to":"[REDACTED:pii_detected]"}'
    assert {finding.finding_type for finding in span.security_findings} >= {"pii_detected"}
    assert MAIL not in whole(span)
    assert KEY not in whole(span)


def test_none(one: One) -> None:
    span = one(of(secretive()), storage=StorageOptions(capture="none"))
    assert (span.prompt, span.response, span.agent_actions[0].arguments) == ("", None, None)
    assert span.security_findings
    assert MAIL not in whole(span)
    assert KEY not in whole(span)


def test_full(one: One) -> None:
    span = one(of(secretive()), storage=StorageOptions(capture="full"))
    assert (span.prompt, span.response) == (f"user: I am {MAIL}", f"Use {KEY}")
    assert span.agent_actions[0].arguments == f'{{"to":"{MAIL}"}}'
    assert span.tags["app.who"] == MAIL


@pytest.mark.parametrize("mode", ["redacted", "full"])
@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_texts_are_cut_between_characters(one: One, mode: str, letter: str) -> None:
    options = StorageOptions(capture=mode, max_text_bytes=1001)  # type: ignore[arg-type]
    span = one(of(chat(letter * 3000, letter * 3000)), storage=options)
    for text in (span.prompt, span.response or ""):
        assert 1001 - 4 < len(text.encode()) <= 1001


def test_what_was_inspected_elsewhere_is_hidden_all_the_same(one: One) -> None:
    reported = secretive()
    reported.attributes["llmtrace.decision"] = "allow"
    span = one(of(reported))
    assert span.security_findings == ()
    assert span.prompt == "user: I am [REDACTED:pii_detected]"
    assert MAIL not in whole(span)
    assert KEY not in whole(span)


def test_more_than_is_found_at_once_is_hidden(one: One) -> None:
    mails = " ".join(f"user{number}@example.org" for number in range(200))
    span = one(of(chat(mails)))
    assert span.tags["coverage"] == "findings_limit"
    assert span.prompt.count("[REDACTED:pii_detected]") == 200
    assert "@" not in span.prompt


@pytest.mark.parametrize("inspected", [True, False])
def test_nothing_is_seen_of_what_a_limit_cuts(one: One, inspected: bool) -> None:
    decided = {"llmtrace.decision": "allow"} if inspected else {}
    for size in range(960, 1010, 7):
        reported = chat("x" * size + f" {KEY} " + "y" * 6000)
        reported.attributes |= decided
        span = one(of(reported), storage=StorageOptions(max_text_bytes=1000))
        assert "sk-" not in span.prompt
        assert "abcdef" not in span.prompt


def test_what_is_not_inspected_is_not_kept(one: One) -> None:
    detection = DetectionOptions(max_analysis_text_bytes=100)
    span = one(of(chat("x" * 90 + MAIL, "fine")), security_analysis=detection)
    assert span.coverage == "partial"
    assert span.tags["coverage"] == "text_limit"
    assert len(span.prompt) < 120
    inspected = chat("x" * 90 + MAIL, llmtrace__decision="allow")
    assert len(one(of(inspected), security_analysis=detection).prompt) <= 100


def test_texts_in_messages_of_many_shapes_are_hidden(one: One) -> None:
    for shape in (
        [{"role": "user", "content": MAIL}],
        [{"role": "tool", "parts": [{"type": "tool_call_response", "response": {"mail": MAIL}}]}],
        [{"role": "user", "parts": [{"type": "novel", "where": MAIL}]}],
        messages("user", MAIL)[:-5],
    ):
        span = one(of(chat(gen_ai__input__messages=shape)))
        assert MAIL not in whole(span)
        assert "[REDACTED:pii_detected]" in span.prompt
