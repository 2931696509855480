"""The bytes that are told to others, and the time in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import CallRecord


def encoded(payload: dict[str, Any]) -> bytes:
    """JSON."""
    return msgspec.json.encode(payload)


def time_of(record: CallRecord) -> str:
    """When the call began, as RFC 3339 in UTC."""
    try:
        at = datetime.fromtimestamp(record.started_ns / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        at = datetime.fromtimestamp(0, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
