from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from llmtrace_relay.model import AuditEvent
from tests.relay.access.doors import NOW, OTHER, SECOND, TENANT

if TYPE_CHECKING:
    from llmtrace_relay.store import Store
    from tests.relay.access.serving import Served


def fill(store: Store) -> None:
    for number in range(30):
        store.audit(
            AuditEvent(
                id=str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))),
                tenant_id=(TENANT, OTHER, None)[number % 3],
                event_type="odd" if number % 2 else "even",
                actor=f"key:{number}",
                resource="r",
                timestamp=NOW + number * SECOND,
                data={"number": number},
            )
        )


def numbers(served: Served, caller: str, query: str = "") -> list[int]:
    answer = served.call(caller, "GET", f"/audit{query}")
    assert answer.status_code == 200, answer.text
    return [event["data"]["number"] for event in answer.json()["data"]]


def test_an_admin_sees_the_events_of_its_tenant_and_the_operator_all(served: Served, store: Store) -> None:
    fill(store)
    assert numbers(served, "admin") == list(range(27, -1, -3))
    assert numbers(served, "other-admin") == list(range(28, 0, -3))
    assert numbers(served, "operator") == list(range(29, -1, -1))
    assert numbers(served, "operator", f"?tenant_id={OTHER}") == list(range(28, 0, -3))
    assert served.call("admin", "GET", f"/audit?tenant_id={OTHER}").status_code == 403


def test_events_are_filtered_and_come_in_pages(served: Served, store: Store) -> None:
    fill(store)
    assert numbers(served, "operator", "?event_type=odd&limit=3&offset=1") == [27, 25, 23]
    window = "?start_time=2026-01-01T00:00:03Z&end_time=2026-01-01T00:00:06Z"
    assert numbers(served, "operator", window) == [5, 4, 3]
    page = served.call("operator", "GET", "/audit?limit=1").json()
    assert (page["total"], page["limit"], page["offset"]) == (30, 1, 0)
    assert page["data"][0]["timestamp"] == "2026-01-01T00:00:29.000000Z"
    assert served.call("operator", "GET", "/audit").json()["limit"] == 100
    assert served.call("operator", "GET", "/audit?limit=5000").json()["limit"] == 1000


@pytest.mark.parametrize(
    "query",
    [
        "start_time=yesterday",
        "limit=-1",
        "offset=-1",
        "event_type=",
        "event_type=%00",
        "actor=me",
        "start_time=2026-01-02T00:00:00Z&end_time=2026-01-01T00:00:00Z",
    ],
)
def test_filters_that_cannot_be_are_refused(served: Served, query: str) -> None:
    assert served.call("operator", "GET", f"/audit?{query}").status_code == 400


def test_who_was_not_let_in_is_in_the_audit(served: Served, store: Store) -> None:
    for _ in range(3):
        assert served.call("llmt_" + "0" * 64, "GET", "/me").status_code == 401
    served.end()
    (event,) = store.audits(None, event_type="access_denied").data
    assert (event.actor, event.data) == ("anonymous", {"reason": "unknown", "count": 3})
