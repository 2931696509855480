"""Every exception that llmtrace raises on purpose.

LLMTraceError
+-- ConfigError            a setting is unknown or has a bad value (the user's file, env or keyword)
+-- NothingInstrumented    instrument() found no HTTP client to wrap
+-- Blocked                a call was refused and `on_block="raise"` is set
+-- Unreadable             a body is not of the shape its endpoint promises (never leaves the pipeline)
+-- StateUnavailable       the store of shared limits cannot be asked now (never leaves the pipeline)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.model import Decision


class LLMTraceError(Exception):
    """Base of everything llmtrace raises on purpose."""


class ConfigError(LLMTraceError, ValueError):
    """One or more settings cannot be used; `problems` lists all of them, one sentence each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class NothingInstrumented(LLMTraceError):
    """No HTTP client was found inside the object; `looked_at` names the places that were searched."""

    def __init__(self, target: str, looked_at: Sequence[str], hint: str = "") -> None:
        self.looked_at = tuple(looked_at)
        places = ", ".join(self.looked_at) or "nothing"
        advice = (
            hint or "pass the SDK client itself or its http client, or call llmtrace.install() for the whole process"
        )
        super().__init__(f"no httpx or httpx2 client found inside {target} (looked at: {places}); {advice}")


class Blocked(LLMTraceError):
    """The policy refused this call. `decision` says why; the message holds the reason code and no user content."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        super().__init__(f"blocked by llmtrace policy: {decision.reason} (decision {decision.id})")


class Unreadable(LLMTraceError):
    """A body could not be understood. `reason` is a coverage code such as `invalid_json`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class StateUnavailable(LLMTraceError):
    """The store of shared limits did not answer in time, or refused to. `reason` is a code such as `timeout`.

    Others are `connection`, `busy` (too many ask at once), `resting` (it failed repeatedly and is left alone for
    a moment), `failed`, and the store's own codes in lower case (`oom`, `readonly`, `clusterdown`, ...).
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the state store cannot be asked: {reason}")
