"""Hands a call over to the judge, which says later what it thinks of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmtrace_sdk.actions._statuses import done, failed, skipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.actions import Parts
    from llmtrace_sdk.core.model import ActionStatus, CallRecord


class JudgeRoute:
    """The action `judge_route`. `ask` takes a call and tells whether the judge could be asked; it must not wait."""

    name = "judge_route"

    def __init__(self, ask: Callable[[CallRecord], bool] | None) -> None:
        self._ask = ask

    def run(self, record: CallRecord, _source: str | None) -> ActionStatus:
        """Hand it over."""
        if self._ask is None:
            return skipped(self.name, "no_judge")
        return done(self.name, "asked", 1) if self._ask(record) else failed(self.name, "busy")


def build(parts: Parts) -> JudgeRoute:
    """The action."""
    return JudgeRoute(parts.ask)
