"""Commands in tool calls that destroy, take over or open up a system (OWASP LLM06)."""

from __future__ import annotations

from llmtrace_sdk.detectors import _rules


def not_a_path(text: str, start: int, _end: int) -> bool:
    """A command's own name, not the last part of a path that is only read."""
    return text[start] != "/" or text[max(0, start - 4) : start].endswith(("/bin", "sbin"))


def not_of_git(text: str, start: int, _end: int) -> bool:
    """Not `git rm`, which keeps what it removes, nor the option `--rm`."""
    return not text[max(0, start - 4) : start].endswith(("git ", "-"))


CHECKS = {"not_a_path": not_a_path, "not_of_git": not_of_git}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("dangerous_command", {"input", "output"}, _rules.load("dangerous_command"), CHECKS)
