"""Hands a call over to the judge. It is asked before the record is made: other actions know what it said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmtrace_sdk.actions._statuses import skipped
from llmtrace_sdk.core.routing import JUDGE_ROUTE

if TYPE_CHECKING:
    from llmtrace_sdk.actions import Parts
    from llmtrace_sdk.core.model import ActionStatus, CallRecord


class JudgeRoute:
    """The action `judge_route`: what came of asking, as the record has it (`core.consulting`)."""

    name: Final = JUDGE_ROUTE
    quick: Final = True

    def run(self, record: CallRecord, _source: str | None) -> ActionStatus:
        """Tell it."""
        return next((each for each in record.actions if each.name == self.name), skipped(self.name, "judge_off"))


def build(_parts: Parts) -> JudgeRoute:
    """The action."""
    return JudgeRoute()
