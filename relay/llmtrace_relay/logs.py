"""What the relay logs, on standard error: lines for people, or one JSON object per line for programs.

Nothing of calls but what `line_of` names. What libraries log is kept from quoting calls: of exceptions the type and the
place are told and not the message, and what the server would say of queries and of frames is left out.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmtrace_relay.keys import PREFIX
from llmtrace_relay.metric_labels import status_told
from llmtrace_sdk.core.fingerprint import UNKEYED, Names
from llmtrace_sdk.core.masking import encodable, without_keys
from llmtrace_sdk.core.sentences import plain

if TYPE_CHECKING:
    from llmtrace_sdk.config.relay import LogOptions
    from llmtrace_sdk.core.model import CallRecord

CALLS: Final = "llmtrace.access"
PATH_LIMIT: Final = 200
MESSAGE_LIMIT: Final = 4_000
FRAMES_LIMIT: Final = 20
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

# We end answers that the upstream broke off by breaking them off, and refuse WebSockets with an answer; to the server
# that looks like a mistake.
_ON_PURPOSE: Final = (
    "ASGI callable returned without completing response.",
    "ASGI callable returned without completing handshake.",
)
# The server writes the query of a WebSocket's address down, where keys can be.
_WITH_QUERIES: Final = '%s - "WebSocket %s"'

_RELAY_KEY: Final = re.compile(rf"{PREFIX}[0-9A-Fa-f]{{8,}}")
_MARK: Final = "[REDACTED:credential]"

_calls = logging.getLogger(CALLS)


def setup(options: LogOptions) -> None:
    """Log on standard error as asked, in this process. May be called again; what others have set up stays."""
    shown = _Handler(sys.stderr)
    shown.setFormatter(_Json() if options.format == "json" else _Text())
    shown.addFilter(_wanted)
    level = LEVELS[options.level]
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(old)
    root.addHandler(shown)
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("llmtrace").setLevel(level)
    for name in ("uvicorn", "uvicorn.error"):
        server = logging.getLogger(name)
        server.handlers.clear()
        server.propagate = True
        # at debug the WebSocket library writes down frames and header fields
        server.setLevel(max(level, logging.INFO))
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False  # its lines have queries; without a place to go it does not even make them


def log_call(record: CallRecord, method: str = "", names: Names = UNKEYED) -> None:
    """Write one line about a finished call, at the level info. `names` makes the fingerprint of its tenant."""
    if _calls.isEnabledFor(logging.INFO):
        # made by hand: to find out who logs would cost as much as all the rest
        made = logging.LogRecord(CALLS, logging.INFO, "", 0, "", None, None)
        made.fields = line_of(record, method, names)
        _calls.handle(made)


def line_of(record: CallRecord, method: str = "", names: Names = UNKEYED) -> dict[str, Any]:
    """What is written about a call: no text of it, no key, no query, and of its tenant a fingerprint."""
    labels, decision = record.labels, record.decision
    fields = {
        "method": plain(method) if method else None,
        "path": path_of(record.path),
        "status": status_told(record),
        "ms": round(max(record.ended_ns - record.started_ns, 0) / 1e6, 1),
        "outcome": record.outcome,
        "action": decision.action,
        "reason": plain(decision.reason) if decision.reason else None,
        "provider": plain(record.provider) if record.provider else None,
        "tenant": _fingerprint(names, labels.tenant) if labels.tenant else None,
        "trace_id": plain(labels.trace) if labels.trace else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def path_of(path: str) -> str:
    """A path without its query, keys and what is no printable character."""
    return _cleaned(path[: 2 * PATH_LIMIT].partition("?")[0])


@lru_cache(maxsize=256)
def _cleaned(path: str) -> str:
    return _line(path)[:PATH_LIMIT]


@lru_cache(maxsize=256)
def _fingerprint(names: Names, tenant: str) -> str:
    return names.of("tenant", tenant)


class _Handler(logging.StreamHandler[Any]):
    """Ours, to be told from those of others. When nobody reads the log any more, that is no reason to fail."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is given
        """Nothing can be said about it where it would be said."""


def _wanted(record: logging.LogRecord) -> bool:
    if not record.name.startswith("uvicorn"):
        return True
    said = str(record.msg)
    return said not in _ON_PURPOSE and not said.startswith(_WITH_QUERIES)


class _Text(logging.Formatter):
    """`2026-01-31T12:00:00.000Z WARNING llmtrace.relay the message`."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname:<7} {record.name} {_message(record)}"
        return f"{line} ({_fault(record)})" if record.exc_info else line


class _Json(logging.Formatter):
    """One object: `time`, `level`, `logger`, `message`, `error` with its place, and the fields of a call."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {"time": _time(record), "level": record.levelname.lower(), "logger": record.name}
        told |= getattr(record, "fields", None) or {"message": _message(record)}
        if record.exc_info:
            told["error"] = _fault(record)
        return msgspec.json.encode(told).decode()


def _time(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03d}Z"


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _message(record: logging.LogRecord) -> str:
    fields: dict[str, Any] | None = getattr(record, "fields", None)
    if fields:
        return " ".join(_shown(name, value) for name, value in fields.items())
    return _line(record.getMessage().strip()[:MESSAGE_LIMIT])


def _fault(record: logging.LogRecord) -> str:
    """The type of an exception and where it was raised; its message may quote what was sent."""
    assert record.exc_info is not None
    kind, _, frames = record.exc_info if isinstance(record.exc_info, tuple) else sys.exc_info()
    if kind is None:
        return "unknown"
    places = traceback.extract_tb(frames)[-FRAMES_LIMIT:]
    where = " > ".join(f"{place.filename}:{place.lineno} {place.name}" for place in places)
    return f"{kind.__module__}.{kind.__qualname__} at {where}" if where else f"{kind.__module__}.{kind.__qualname__}"


def _shown(name: str, value: Any) -> str:
    return str(value) if name in ("method", "path") else f"{name}={value}"


def _line(text: str) -> str:
    """A text without keys, as one line: nobody can forge another one, or move the cursor of who reads it."""
    text = _RELAY_KEY.sub(_MARK, without_keys(encodable(text)))
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
