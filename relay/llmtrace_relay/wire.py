"""Records -> the JSON of the API, and its description; times are RFC 3339 in UTC there, with microseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmtrace_relay import model
from llmtrace_relay.store import Bucket, FoundFinding, Session, Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmtrace_relay.store import Page

REFERENCE: Final = "#/components/schemas/{}"
"""How one schema of the description names another."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST: Final = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
_LAST: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(?:\.(\d{1,30}))?([Zz]|[+\- ]\d\d:\d\d)", re.ASCII)


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over time. `truncated`: there are more, earlier ones; `by` None: all calls are in one group, ''."""

    data: list[Bucket]
    every_seconds: int
    by: str | None
    truncated: bool


TIMES: Final[dict[type, tuple[str, ...]]] = {
    model.Finding: ("detected_at",),
    model.SpanEvent: ("timestamp",),
    model.AgentAction: ("timestamp",),
    model.Span: ("start_time", "end_time"),
    model.Trace: ("created_at",),
    model.Tenant: ("created_at",),
    model.ApiKey: ("created_at", "expires_at", "last_used_at", "revoked_at"),
    model.AuditEvent: ("timestamp",),
    model.Report: ("period_start", "period_end", "created_at", "completed_at"),
    Stats: ("oldest_trace", "newest_trace"),
    Bucket: ("start",),
    Series: (),
    Session: ("first", "last"),
}
"""Which members of a record are times. Every record that the API tells is here."""

_WITHIN: Final[dict[type, dict[str, type]]] = {
    model.Span: {
        "security_findings": model.Finding,
        "events": model.SpanEvent,
        "agent_actions": model.AgentAction,
    },
    model.Trace: {"spans": model.Span},
    Series: {"data": Bucket},
}
_encoder: Final = msgspec.json.Encoder()


def plain(record: msgspec.Struct) -> dict[str, Any]:
    """A record as JSON values. That of a finding that was searched for has the finding's members beside its own."""
    found: dict[str, Any] = msgspec.to_builtins(record)
    if isinstance(record, FoundFinding):
        finding = found.pop("finding")
        _tell_times(model.Finding, finding)
        return {**finding, **found}
    _tell_times(type(record), found)
    return found


def encoded(value: Any) -> bytes:
    """JSON values, or a record without times, as JSON; a number that JSON has no name for is null."""
    return _encoder.encode(value)


def page(found: Page[Any], told: Callable[[Any], dict[str, Any]] = plain) -> bytes:
    """A page as JSON; `told` turns a record into JSON values."""
    rows = [told(record) for record in found.data]
    return encoded({"data": rows, "total": found.total, "limit": found.limit, "offset": found.offset})


def rfc3339(at_us: int) -> str:
    """A time in microseconds since the Unix epoch as text; one outside the years 1 to 9999 is the nearest within."""
    at = EPOCH + timedelta(microseconds=min(max(at_us, _FIRST), _LAST))
    return f"{at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def micros(text: str) -> int:
    """RFC 3339 -> microseconds since the Unix epoch; finer fractions are cut. Raises ValueError, which says what to do.

    The sign of an offset may be a space: that is what an unquoted `+` in a URL becomes.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("must be a time such as 2025-01-31T23:59:59Z, with Z or an offset such as +01:00 at its end")
    date, minutes, seconds, fraction, offset = found.groups()
    leap = seconds == "60"
    zone = "+00:00" if offset in "Zz" else offset.replace(" ", "+")
    try:
        at = datetime.fromisoformat(f"{date}T{minutes}:{'59' if leap else seconds}{zone}")
    except ValueError:
        raise ValueError("must be a time that there is; no calendar has this one") from None
    whole = (at - EPOCH) // _MICROSECOND + (1_000_000 if leap else 0)
    return whole + int((fraction or "").ljust(6, "0")[:6])


def schemas(*others: type[msgspec.Struct]) -> dict[str, dict[str, Any]]:
    """The JSON Schemas of all records, and of others without times, by name.

    There is a page, too, for each record that comes in pages (`SpanPage` for `Span`).
    """
    kinds = (*TIMES, FoundFinding, *others)
    _, found = msgspec.json.schema_components(kinds, ref_template=REFERENCE.format("{name}"))
    for kind, names in TIMES.items():
        for name in names:
            _describe_time(found[kind.__name__]["properties"][name])
    for schema in found.values():
        schema["description"] = cleandoc(schema["description"])
        schema["required"] = list(schema["properties"])
        for member in schema["properties"].values():
            member.pop("default", None)
    _flatten(found)
    _name_choices(found)
    return found | {f"{name}Page": page_of(name) for name in _PAGES}


def page_of(name: str) -> dict[str, Any]:
    """The JSON Schema of a page of records whose schema has a name."""
    counts = {key: {"type": "integer", "minimum": 0} for key in ("total", "limit", "offset")}
    rows = {"type": "array", "items": {"$ref": REFERENCE.format(name)}}
    return {"type": "object", "properties": {"data": rows, **counts}, "required": ["data", *counts]}


_PAGES: Final = ("Trace", "Span", "FoundFinding", "Session", "Tenant", "ApiKey", "AuditEvent", "Report")


def _tell_times(kind: type, values: dict[str, Any]) -> None:
    for name in TIMES[kind]:
        if values[name] is not None:
            values[name] = rfc3339(values[name])
    for name, inner in _WITHIN.get(kind, {}).items():
        for each in values[name]:
            _tell_times(inner, each)


def _describe_time(schema: dict[str, Any]) -> None:
    time = {"type": "string", "format": "date-time"}
    choices: Iterable[dict[str, Any]] = schema.pop("anyOf", ())
    schema.pop("type", None)
    if any(each.get("type") == "null" for each in choices):
        schema["anyOf"] = [time, {"type": "null"}]
    else:
        schema.update(time)


def _flatten(found: dict[str, dict[str, Any]]) -> None:
    finding, about = found["Finding"], found["FoundFinding"]
    own = {name: schema for name, schema in about["properties"].items() if name != "finding"}
    about["properties"] = {**finding["properties"], **own}
    about["required"] = list(about["properties"])


def _name_choices(found: dict[str, dict[str, Any]]) -> None:
    for name in ("Finding", "FoundFinding"):
        found[name]["properties"]["severity"] = {"type": "string", "enum": list(model.SEVERITIES)}
