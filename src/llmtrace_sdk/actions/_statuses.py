"""How to say how an action ended."""

from __future__ import annotations

from llmtrace_sdk.core.model import ActionStatus


def done(name: str, detail: str = "", attempts: int = 0) -> ActionStatus:
    """It did what it is for."""
    return ActionStatus(name, "success", attempts, detail)


def skipped(name: str, detail: str) -> ActionStatus:
    """There was nothing to do."""
    return ActionStatus(name, "skipped", 0, detail)


def failed(name: str, detail: str, attempts: int = 0) -> ActionStatus:
    """It could not do what it is for."""
    return ActionStatus(name, "error", attempts, detail)


def dropped(name: str, detail: str = "queue_full") -> ActionStatus:
    """Too many were waiting."""
    return ActionStatus(name, "dropped", 0, detail)
