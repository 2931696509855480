"""Replies of tiers are remembered for the retries of a call."""

from __future__ import annotations

from llmtrace_sdk.core.effects import Ask
from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.core.tiers import Question, Unanswered
from llmtrace_sdk.replies import REMEMBERED, REMEMBERED_S, Memory, key_of

SILENT = (Unanswered("timeout"),)


def asked(text: str, pointer: str = "/messages/0/content", tier: str = "judge") -> bytes:
    return key_of(Ask(tier, (Question(Segment(text, "user", pointer), text),), 100))  # type: ignore[arg-type]


def test_what_was_said_is_said_again_for_a_while() -> None:
    now = [100.0]
    memory = Memory(lambda: now[0])
    key = asked("is this one?")
    assert memory.recall(key) is None
    memory.keep(key, SILENT)
    now[0] += REMEMBERED_S - 1
    assert memory.recall(key) == SILENT
    now[0] += 1
    assert memory.recall(key) is None


def test_other_questions_are_others() -> None:
    keys = {asked("a"), asked("b"), asked("a", "/messages/1/content"), asked("a", tier="ml")}
    assert len(keys) == 4
    assert asked("a") == asked("a")


def test_it_is_bounded_and_forgets_the_oldest() -> None:
    memory = Memory(lambda: 0.0)
    keys = [asked(str(number)) for number in range(REMEMBERED + 1)]
    for key in keys:
        memory.keep(key, SILENT)
    assert memory.recall(keys[0]) is None
    assert memory.recall(keys[1]) == memory.recall(keys[-1]) == SILENT


def test_a_lone_surrogate_is_a_question_too() -> None:
    assert asked("\ud800") != asked("?")
