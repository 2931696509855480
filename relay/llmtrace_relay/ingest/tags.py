"""Attributes that have no field of their own -> tags, few and short, without the texts of the call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from llmtrace_relay.ingest import names
from llmtrace_sdk.telemetry import names as ours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_relay.ingest.calls import Call
    from llmtrace_relay.ingest.capturing import Capture
    from llmtrace_relay.ingest.facts import Facts
    from llmtrace_relay.ingest.reported import Attributes

TAGS_LIMIT: Final = 64
VALUE_LIMIT: Final = 256
_NAME_LIMIT: Final = 128
_ITEMS_LIMIT: Final = 16

_FIELDS: Final = frozenset(
    {
        *names.PROVIDER,
        ours.REQUEST_MODEL,
        *names.INPUT_TOKENS,
        *names.OUTPUT_TOKENS,
        *names.HTTP_STATUS,
        *names.SESSION,
        *names.USER,
        ours.AGENT_NAME,
        ours.OPERATION,
        ours.COST_USD,
        ours.RECORD_ID,
        ours.SCAN_SKIPPED_REASON,
        ours.REQUEST_STREAM,
        ours.DECISION_REASON,
        ours.RESPONSE_TIME_TO_FIRST_CHUNK,
    }
)
"""What a span's own fields say."""

_TEXTS: Final = re.compile(
    r"(?i)(?:^|[._-])(?:input|inputs|output|outputs|prompt|prompts|completion|completions|content|contents|messages?"
    r"|instructions|definitions|body|text|query|statement|arguments|args|kwargs|parameters|results?|stacktrace"
    r"|headers?|cookies?|authorization|password|passwd|secret|api[._-]?key|token|credentials?|url|command_args"
    r"|command_line)(?:$|[._-])"
)
"""Names of attributes that hold what was said, or what must not be told, in one instrumentation or another."""

_PLAIN: Final = re.compile(r"(?:service|telemetry|deployment|server|host|os|k8s|cloud|container|process|otel|faas)\.")
_OURS: Final = frozenset(name for name in vars(ours).values() if isinstance(name, str))
"""These, and those before, have names and numbers as values, once those with texts are left out."""


def tags_of(call: Call, facts: Facts, capture: Capture, reasons: tuple[str, ...]) -> dict[str, str]:
    """The tags of a call: those of its span first, then those of the program that reported it.

    `reasons` are coverage codes: why not all of it was inspected.
    """
    own = dict(facts.all)
    if call.span.scope:
        own[names.SCOPE] = call.span.scope
    resource = call.span.resource
    ordered = {**{name: own[name] for name in own if name not in resource}, **{name: own[name] for name in resource}}
    tags = bounded(ordered, capture)
    return {**tags, "coverage": ",".join(reasons)} if reasons else tags


def bounded(attributes: Attributes, capture: Capture) -> dict[str, str]:
    """At most `TAGS_LIMIT` attributes, as texts."""
    tags: dict[str, str] = {}
    free: dict[str, str] = {}
    for name, value in _told(attributes):
        if len(tags) + len(free) >= TAGS_LIMIT:
            break
        known = name in _OURS or _PLAIN.match(name)
        (tags if known else free)[name.removeprefix(ours.TAG_PREFIX)[:_NAME_LIMIT]] = value
    return {**tags, **_masked(free, capture)}


def _told(attributes: Attributes) -> Iterator[tuple[str, str]]:
    for name, value in attributes.items():
        if name in _FIELDS or (_TEXTS.search(name) and not name.startswith(ours.TAG_PREFIX) and not _is_number(value)):
            continue
        told = _text(value)
        if told:
            yield name, told


def _masked(free: dict[str, str], capture: Capture) -> dict[str, str]:
    """Tags of the application's own may say anything, so they are looked through: all in one text, a line for each."""
    if not free or capture.mode == "full":
        return free
    lines = [" ".join(value.split()) for value in free.values()]
    masked = capture.masked("\n".join(lines), TAGS_LIMIT * (VALUE_LIMIT + 1) * 4).split("\n")
    return dict(zip(free, masked, strict=True)) if len(masked) == len(free) else {}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value[:VALUE_LIMIT] if len(value) <= VALUE_LIMIT else ""
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        return ",".join(_text(each) for each in value[:_ITEMS_LIMIT])[:VALUE_LIMIT]
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
