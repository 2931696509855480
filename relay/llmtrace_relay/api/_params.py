"""Kinds of parameters: how each is read, what is said where it cannot be, and how it is described."""

import re
from typing import Annotated, Any, Final, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from llmtrace_relay import wire
from llmtrace_relay.model import SEVERITIES, ActionType

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1000
MAX_OFFSET: Final = 1 << 40
MAX_TEXT: Final = 512
ACTION_TYPES: Final[tuple[str, ...]] = get_args(ActionType)

_HEX: Final = "[0-9A-Fa-f]"
_UUID: Final = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
UUID_PATTERN: Final = f"^{_UUID}$"
TRACE_PATTERN: Final = f"^({_UUID}|{_HEX}{{32}})$"
SPAN_PATTERN: Final = f"^({_UUID}|{_HEX}{{32}}|{_HEX}{{16}})$"


def _time(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("must be a time as text")  # noqa: TRY004 - pydantic tells of this kind only
    return wire.micros(value)


def _uuid_of(text: str) -> str:
    digits = text.replace("-", "").lower().rjust(32, "0")
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _id(pattern: str, words: str) -> Any:
    known = re.compile(pattern[:-1] + r"\Z", re.ASCII)

    def check(text: str) -> str:
        if known.match(text) is None:
            raise ValueError(f"must be {words}")
        return _uuid_of(text)

    return AfterValidator(check)


def _plain(text: str) -> str:
    if "\0" in text:
        raise ValueError("must have no NUL character")
    return text


def _severity(value: Any) -> str:
    for name in SEVERITIES:
        if isinstance(value, str) and value.lower() == name.lower():
            return name
    raise ValueError(f"must be one of {', '.join(SEVERITIES)}")


def _clamped(limit: int) -> int:
    return min(limit, MAX_LIMIT)


Time = Annotated[int, BeforeValidator(_time), WithJsonSchema({"type": "string", "format": "date-time"})]
"""RFC 3339 -> microseconds since the Unix epoch."""

TraceId = Annotated[
    str,
    _id(TRACE_PATTERN, "a UUID, or a trace id of 32 hexadecimal digits"),
    WithJsonSchema({"type": "string", "pattern": TRACE_PATTERN}),
]
SpanId = Annotated[
    str,
    _id(SPAN_PATTERN, "a UUID, or a span id of 16 hexadecimal digits"),
    WithJsonSchema({"type": "string", "pattern": SPAN_PATTERN}),
]
TenantId = Annotated[str, _id(UUID_PATTERN, "a UUID"), WithJsonSchema({"type": "string", "pattern": UUID_PATTERN})]

Plain = AfterValidator(_plain)
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), Plain]
"""What is compared with a whole value."""

Severity = Annotated[str, BeforeValidator(_severity), WithJsonSchema({"type": "string", "enum": list(SEVERITIES)})]
Score = Annotated[int, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Limit = Annotated[
    int,
    Field(ge=0, description=f"How many at most; more than {MAX_LIMIT} are taken as {MAX_LIMIT}."),
    AfterValidator(_clamped),
]
Offset = Annotated[int, Field(ge=0, le=MAX_OFFSET, description="How many of those that match to pass over.")]


class Asked(BaseModel):
    """The parameters of a query; others are refused, so that no filter is lost by a slip of the pen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OfTenant(Asked):
    """Whose data."""

    tenant_id: TenantId | None = Field(None, description="For the operator of the relay only: of this tenant alone.")


class Paged(OfTenant):
    """Which page."""

    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0
