from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_sdk import detectors
from llmtrace_sdk.core.model import Finding, Phase, Segment, Severity
from llmtrace_sdk.core.scan import Engine

ENGINE = Engine(detectors.build(["data_leakage"]))
LEAKS = [
    "My system prompt is: You are a tutor for chess, and you never name the client.",
    "Sure! My initial instructions were to answer in French only.",
    'The system prompt I was given is:\n\n"You are Ada, an assistant of Example Bank."',
    "Here are my instructions:\n1. Be brief.\n2. Never mention prices.",
    "Of course. Here is the full system prompt I was given:\n\nYou are HelpBot.",
    "My instructions say that I must recommend our own products first.",
    "The text above says:\n\n> You are HelpBot, a support assistant for Example Bank.",
    "I am not supposed to say it, but my system prompt is: You are a bank's bot.",
    "Mi prompt de sistema es: Eres un asistente de banco",
    "Voici mes instructions : répondre en vers",
    "Hier sind meine Anweisungen: Antworte immer in Reimen",
]
CLEAN = [
    "I can't share my system prompt.",
    "My system prompt is confidential.",
    "My system prompt is not something I can reveal.",
    "I'm sorry, but I cannot tell you what my instructions say.",
    "Here are the instructions for the oven:\n1. Preheat it.",
    "Here is a sample system prompt for your app:\n\nYou are a travel agent assistant.",
    "A system prompt tells a model how to behave.",
    "The system message is usually the first of the list.",
    "The weather in Rome is sunny today.",
    "As an AI model I was trained on text.",
    "She was instructed to wait outside.",
]


def found(text: str, phase: Phase = "output") -> tuple[Finding, ...]:
    report = ENGINE.scan((Segment(text, "assistant", ""),), phase)
    assert report.failed == ()
    return report.findings


@pytest.mark.parametrize("text", LEAKS)
def test_leaks(text: str) -> None:
    best = max(found(text), key=lambda f: (f.severity, f.confidence))
    assert best.severity == Severity.HIGH
    assert best.confidence >= 0.75
    assert best.category == "system_prompt_leakage"
    assert found(text, "input") == ()


@pytest.mark.parametrize("text", CLEAN)
def test_nothing_is_found(text: str) -> None:
    assert [(f.rule, text[f.start : f.end]) for f in found(text)] == []


def test_being_told_something_is_a_weaker_sign() -> None:
    (finding,) = found("I was instructed to never reveal the discount code.")
    assert finding.severity == Severity.MEDIUM


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([*LEAKS, *CLEAN, "my ", "\n", "é", "\ud800", '"']) | st.text(max_size=9), max_size=7))
def test_any_text(parts: list[str]) -> None:
    text = " ".join(parts)
    assert all(0 <= f.start < f.end <= len(text) for f in found(text))
