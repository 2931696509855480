from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_sdk import detectors
from llmtrace_sdk.core.model import Finding, Phase, Segment, Severity
from llmtrace_sdk.core.scan import Engine

ENGINE = Engine(detectors.build(["output_toxicity"]))
TOXIC = [
    ("I will kill you.", "toxicity.threat", Severity.HIGH),
    ("I'm going to hurt your family", "toxicity.threat", Severity.HIGH),
    ("You are an idiot.", "toxicity.insult", Severity.MEDIUM),
    ("Shut up, you pathetic loser!", "toxicity.insult", Severity.MEDIUM),
    ("That is complete bullshit", "toxicity.obscene", Severity.MEDIUM),
    ("All immigrants are vermin", "toxicity.identity_hate", Severity.HIGH),
    ("You are a fucking worthless moron", "toxicity.severe", Severity.CRITICAL),
    ("You should kill yourself.", "toxicity.self_harm", Severity.CRITICAL),
    ("Just go and die", "toxicity.self_harm", Severity.CRITICAL),
    ("Eres un idiota", "toxicity.es", Severity.MEDIUM),
    ("Je vais te tuer", "toxicity.fr", Severity.MEDIUM),
    ("Ich bringe dich um", "toxicity.de", Severity.MEDIUM),
    ("Vou te matar", "toxicity.pt", Severity.MEDIUM),
    ("Sei un imbecille", "toxicity.it", Severity.MEDIUM),
    ("Ты идиот!", "toxicity.ru", Severity.MEDIUM),
]
CLEAN = [
    "The first class of the course assesses grass, Scunthorpe, cocktails and Essex.",
    "You are not an idiot.",
    "I will not hurt you.",
    "If you are thinking about wanting to kill yourself, please call a helpline.",
    "Be careful not to cut yourself.",
    "This joke will kill your mood.",
    "To stop the process, kill the parent; its children die.",
    "All immigrants are required to register.",
    "Hello, Dick van Dyke! Pass the tit-for-tat analysis.",
    "Remember that you will die one day, said the monk.",
    "No eres un idiota, eres muy amable.",
    "Der Idiot ist ein Roman.",
    "Роман «Идиот» написал Достоевский.",
    "The weather is nice.",
]


def found(text: str, phase: Phase = "output") -> tuple[Finding, ...]:
    report = ENGINE.scan((Segment(text, "assistant", ""),), phase)
    assert report.failed == ()
    return report.findings


@pytest.mark.parametrize(("text", "rule", "severity"), TOXIC)
def test_toxic(text: str, rule: str, severity: Severity) -> None:
    assert (rule, severity) in {(f.rule, f.severity) for f in found(text)}
    assert found(text, "input") == ()


@pytest.mark.parametrize("text", CLEAN)
def test_nothing_is_found(text: str) -> None:
    assert [(f.rule, text[f.start : f.end]) for f in found(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        'In the film, he shouted "I will kill you" and left.',
        'The word "bullshit" is a swear word.',
        'An insult such as "you are an idiot" hurts, the study says.',
    ],
)
def test_what_is_quoted_is_low(text: str) -> None:
    assert [f.severity for f in found(text)] == [Severity.LOW]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from([*(t for t, _, _ in TOXIC), *CLEAN, '"', "\n", "é", "\ud800"]) | st.text(max_size=9), max_size=7
    )
)
def test_any_text(parts: list[str]) -> None:
    text = " ".join(parts)
    assert all(0 <= f.start < f.end <= len(text) for f in found(text))
