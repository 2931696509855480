"""Instructions that try to take the model away from its own (OWASP LLM01), or to get these out of it (LLM07)."""

from __future__ import annotations

import re
from typing import Final

from llmtrace_sdk.detectors import _asserted, _rules

_OF_SOMETHING_ELSE: Final = re.compile(
    r"\s{1,3}(?:about|regarding|concerning|for|from|in|on|of)\s{1,3}"
    r"(?!(?:(?:the|this|that|your|our)\s{1,3})?(?:system|developers?|prompts?|operators?|creators?|conversation|chat"
    r"|context|company|openai|anthropic|now|here|your|which|any|me|all|this|that|these|favou?r|full|detail)\b)",
    re.IGNORECASE,
)


def of_the_model(text: str, start: int, end: int) -> bool:
    """Said of the model's instructions, not of those for the shelf or what was said about the guest list."""
    return _asserted.asserted(text, start, end) and not _OF_SOMETHING_ELSE.match(text, end)


CHECKS = {
    "asserted": _asserted.asserted,
    "said_to_the_model": _asserted.said_to_the_model,
    "of_the_model": of_the_model,
}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("prompt_injection", {"input"}, _rules.load("prompt_injection"), CHECKS)
