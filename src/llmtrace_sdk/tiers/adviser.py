"""What the desk needs of a tier, and how a tier says that it has no opinion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from llmtrace_sdk.core.tiers import Opinion, Question


class NoOpinion(Exception):
    """A tier could not answer. `reason` is a code without any content; `rest_s`: seconds it wants to be left alone."""

    def __init__(self, reason: str, rest_s: float = 0.0) -> None:
        self.reason = reason
        self.rest_s = rest_s
        super().__init__(reason)


class Adviser(Protocol):
    """A tier that can be asked, from several threads at once."""

    def ask(self, question: Question, deadline: float, /) -> Opinion:
        """The opinion on one text, by `deadline` (`time.monotonic()`), as far as that is in its own hands.

        Raises anything when there is none; `TimeoutError` when the time was too short.
        """

    def warm(self) -> None:
        """Load now what would be loaded at the first question. Raises anything."""

    def close(self) -> None:
        """Let go of what is held; a later question may take it up again."""
