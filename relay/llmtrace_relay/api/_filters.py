"""The filters that the routes about calls share."""

from typing import Literal, Self

from msgspec import structs
from pydantic import Field, model_validator

from llmtrace_relay.api._context import tenant_of
from llmtrace_relay.api._params import (
    DEFAULT_LIMIT,
    Dollars,
    Limit,
    Offset,
    OfTenant,
    Paged,
    Score,
    Severity,
    Share,
    Text,
    Time,
    TraceId,
)
from llmtrace_relay.model import SEVERITIES
from llmtrace_relay.store import FindingQuery, Identity, SpanQuery

FROM = "From this time on."
BEFORE = "Before this time."


class Filter(OfTenant):
    """Which calls. All that is given must hold; texts are compared as a whole, but for `search`."""

    start_time: Time | None = Field(None, description=FROM)
    end_time: Time | None = Field(None, description=BEFORE)
    trace_id: TraceId | None = None
    provider: Text | None = None
    model: Text | None = None
    operation_name: Text | None = None
    outcome: Text | None = Field(None, description="How the call ended: complete, blocked, upstream_error, ...")
    agent: Text | None = None
    session: Text | None = None
    user: Text | None = None
    security_score_min: Score | None = None
    security_score_max: Score | None = None
    min_cost_usd: Dollars | None = None
    finding_type: Text | None = Field(None, description="With a finding of this type.")
    search: Text | None = Field(None, description="With this in the prompt or the answer, in any letter case.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _check_period(self.start_time, self.end_time)
        low, high = self.security_score_min, self.security_score_max
        if low is not None and high is not None and low > high:
            raise ValueError("security_score_min must not be over security_score_max")
        return self

    def query(self, who: Identity) -> SpanQuery:
        """What the store is asked, for a caller."""
        return SpanQuery(
            tenant_id=tenant_of(who, self.tenant_id),
            start_time=self.start_time,
            end_time=self.end_time,
            trace_id=self.trace_id,
            provider=self.provider,
            model_name=self.model,
            operation_name=self.operation_name,
            outcome=self.outcome,
            agent=self.agent,
            session=self.session,
            user=self.user,
            min_security_score=self.security_score_min,
            max_security_score=self.security_score_max,
            min_cost_usd=self.min_cost_usd,
            finding_type=self.finding_type,
            search=self.search,
        )


class PagedFilter(Filter):
    """Which calls, and which page of them."""

    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0

    def query(self, who: Identity) -> SpanQuery:
        """What the store is asked, for a caller."""
        return structs.replace(super().query(who), limit=self.limit, offset=self.offset)


class Listing(PagedFilter):
    """Which calls, in which order."""

    order: Literal["newest", "oldest", "slowest", "dearest", "riskiest"] = "newest"

    def query(self, who: Identity) -> SpanQuery:
        """What the store is asked, for a caller."""
        return structs.replace(super().query(who), order=self.order)


class FindingFilter(Paged):
    """Which findings."""

    start_time: Time | None = Field(None, description=FROM)
    end_time: Time | None = Field(None, description=BEFORE)
    finding_type: Text | None = None
    min_severity: Severity | None = None
    min_confidence: Share | None = None
    trace_id: TraceId | None = None
    model: Text | None = None
    agent: Text | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _check_period(self.start_time, self.end_time)
        return self

    def query(self, who: Identity) -> FindingQuery:
        """What the store is asked, for a caller."""
        return FindingQuery(
            tenant_id=tenant_of(who, self.tenant_id),
            start_time=self.start_time,
            end_time=self.end_time,
            finding_type=self.finding_type,
            min_severity=None if self.min_severity is None else SEVERITIES.index(self.min_severity),
            min_confidence=self.min_confidence,
            trace_id=self.trace_id,
            model_name=self.model,
            agent=self.agent,
            limit=self.limit,
            offset=self.offset,
        )


def _check_period(start: int | None, end: int | None) -> None:
    if start is not None and end is not None and start >= end:
        raise ValueError("end_time must be after start_time")
