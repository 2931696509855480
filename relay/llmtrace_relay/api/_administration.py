"""Bodies and answers of the routes that administer the relay."""

import math
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Struct
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from llmtrace_relay.api._params import TenantId, Time
from llmtrace_relay.features import FEATURES
from llmtrace_relay.model import Role

CONFIG_LIMIT = 64 << 10
"""Bytes, as JSON."""

DAYS_LIMIT = 3_650


def _plain_json(value: dict[str, Any]) -> dict[str, Any]:
    """The same as every database takes it. Raises ValueError."""
    try:
        text = msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise ValueError("must be plain JSON: texts, numbers, lists and mappings") from None
    if len(text) > CONFIG_LIMIT:
        raise ValueError(f"must have at most {CONFIG_LIMIT} bytes as JSON")
    if b"\\u0000" in text:
        raise ValueError("must have no NUL character")
    found: dict[str, Any] = msgspec.json.decode(text)
    return found


def _word(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("must be a name of characters that can be seen")
    return text.strip()


def _days(value: float) -> float:
    if not (math.isfinite(value) and 0 < value <= DAYS_LIMIT):
        raise ValueError(f"must be over 0 and at most {DAYS_LIMIT}")
    return value


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_word)]
Plan = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_word)]
Config = Annotated[dict[str, Any], AfterValidator(_plain_json)]
Days = Annotated[float, AfterValidator(_days)]


class Body(BaseModel):
    """A body; members that are not known are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NewTenant(Body):
    """A tenant to add."""

    name: Name
    plan: Plan = "default"
    config: Config = Field(default_factory=dict)


class TenantChange(Body):
    """What is to be different about a tenant."""

    name: Name | None = None
    plan: Plan | None = None
    config: Config | None = None


class NewKey(Body):
    """A key to make.

    `tenant_id` not given is the caller's own; null, which only the operator of the relay may say, is a key of the
    operator, for all tenants. It is good until `expires_at`, or for `expires_in_days`; without both until revoked.
    """

    name: Name
    role: Role
    tenant_id: TenantId | None = None
    expires_at: Time | None = None
    expires_in_days: Days | None = None


class FeatureValue(Body):
    """The value of a flag; null is what the configuration says."""

    value: Any


class FeatureValues(Body):
    """Values of flags by name; null is what the configuration says."""

    features: Annotated[dict[str, Any], Field(min_length=1, max_length=100)]


class NewReport(Body):
    """A report to make, about what began from `period_start` on and before `period_end`."""

    report_type: Literal["soc2", "gdpr", "hipaa"]
    period_start: Time
    period_end: Time
    tenant_id: TenantId | None = Field(None, description="For the operator of the relay only: about this tenant.")


class TenantCreated(Struct, frozen=True, kw_only=True):
    """A tenant, with what is told once: its token (role operator), and a key for its administration (role admin)."""

    id: str
    name: str
    plan: str
    created_at: str
    config: dict[str, Any]
    api_token: str
    api_key: str
    api_key_id: str


class TokenReset(Struct, frozen=True):
    """The token of a tenant, told once; the one before is worth nothing any more."""

    api_token: str


class KeyCreated(Struct, frozen=True, kw_only=True):
    """A key, told once."""

    id: str
    key: str
    key_prefix: str
    tenant_id: str | None
    name: str
    role: Role
    created_at: str
    expires_at: str | None


class FeatureSet(Struct, frozen=True):
    """A flag was set."""

    updated: str
    previous: bool | str
    features: dict[str, bool | str]
    warnings: list[str]


class FeaturesSet(Struct, frozen=True):
    """Flags were set."""

    features: dict[str, bool | str]
    warnings: list[str]


class ReportBegun(Struct, frozen=True):
    """A report is under way; `GET /api/v1/reports/{id}` has it when it is done."""

    id: str
    status: Literal["pending"]


_FLAGS = dict[str, bool | str]

Features = msgspec.defstruct(
    "Features",
    [(name, Literal[each.choices] if each.choices else bool) for name, each in FEATURES.items()]
    + [("effective", _FLAGS), ("changed", _FLAGS), ("warnings", list[str])],
    namespace={
        "__doc__": "The flags. `effective`: as they are in force in the worker that answers. `changed`: those that are "
        "set at run time. `warnings`: what they may not do as one would think."
    },
    frozen=True,
)

DONE: dict[str, Any] = {"response_class": Response, "status_code": 204, "responses": {204: {"description": "Done"}}}
"""The keywords of a route that has nothing to tell."""

ANSWERS: tuple[type[Struct], ...] = (
    TenantCreated,
    TokenReset,
    KeyCreated,
    Features,
    FeatureSet,
    FeaturesSet,
    ReportBegun,
)
