"""Requests made from the description, right ones and wrong ones: no fault of ours, and answers as described."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from llmtrace_relay.model import Tenant
from llmtrace_relay.store.opening import open_store
from llmtrace_sdk.config import Settings
from llmtrace_sdk.config.relay import StorageOptions
from llmtrace_sdk.core.limits import BudgetCap, CostCapOptions
from tests.relay.api.calls import calls, span_id, trace_id
from tests.relay.api.serving import NOW_US, TENANT_A, Served, headers_of, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_relay.store import Store

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
pytestmark = pytest.mark.slow
SETTINGS = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
KNOWN = {
    "trace_id": trace_id(TENANT_A, 6),
    "span_id": span_id(TENANT_A, 6),
    "session": "session/2",
    "tenant_id": TENANT_A,
    "feature": "enforcement_mode",
}
CAPS = CostCapOptions(enabled=True, default_budget_caps=(BudgetCap(window="daily", hard_limit_usd=1.0),))


@pytest.fixture(scope="module")
def own() -> Iterator[Served]:
    """An API of its own, in memory: here calls are deleted, tenants made, and so on."""
    store = open_store(StorageOptions(profile="memory"))
    try:
        store.put_tenant(Tenant(id=TENANT_A, name="A", created_at=NOW_US))
        with serving(store) as served:
            served.policies.settings = replace(Settings(), cost_caps=CAPS)
            yield served
    finally:
        store.close()


def operations() -> list[Any]:
    unserved = Served(cast("Store", None))
    found = schemathesis.openapi.from_dict(unserved.app.openapi())
    return [pytest.param(each.ok(), id=each.ok().label) for each in found.get_all_operations()]


@pytest.mark.parametrize("who", [(None, "admin"), (TENANT_A, "viewer")], ids=["operator", "viewer"])
@pytest.mark.parametrize("operation", operations())
def test_no_fault_and_answers_as_described(own: Served, operation: Any, who: tuple[str | None, str]) -> None:
    own.store.put(calls(TENANT_A, 12))  # others may have been deleted
    allowed = who[1] == "admin"
    examples = settings(SETTINGS, max_examples=10 if allowed else 4)

    @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE), st.booleans())
    @examples
    def right(case: Any, there: bool) -> None:
        if there:
            case.path_parameters.update({name: KNOWN[name] for name in case.path_parameters.keys() & KNOWN.keys()})
        case.call_and_validate(own.url, headers=headers_of(*who), checks=CHECKS)

    @given(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    @examples
    def wrong(case: Any) -> None:
        more = [negative_data_rejection] if allowed else []
        case.call_and_validate(own.url, headers=headers_of(*who), checks=[*CHECKS, *more])

    right()
    with suppress(Unsatisfiable):  # where nothing can be wrong
        wrong()
