from __future__ import annotations

import threading
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_relay import reports
from llmtrace_relay.line import Line
from llmtrace_relay.model import ApiKey, AuditEvent, Finding, Report, Span
from llmtrace_relay.store import StoreUnavailable
from llmtrace_sdk.config import Settings
from tests.relay.access.doors import NOW, OTHER, SECOND, TENANT
from tests.relay.api.calls import span_id, trace_id

if TYPE_CHECKING:
    from llmtrace_relay.store import Store
    from tests.relay.access.serving import Served

DAY = 86_400 * SECOND
PERIOD = {"period_start": "2025-12-01T00:00:00Z", "period_end": "2026-01-02T00:00:00Z"}


def found(number: int, finding_type: str, severity: str) -> Finding:
    return Finding(
        id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number} {finding_type}")),
        severity=severity,
        finding_type=finding_type,
        description="",
        detected_at=NOW - DAY,
        confidence_score=0.9,
    )


def span(tenant: str, number: int, **values: Any) -> Span:
    given: dict[str, Any] = {
        "trace_id": trace_id(tenant, number),
        "span_id": span_id(tenant, number),
        "tenant_id": tenant,
        "operation_name": "chat_completion",
        "start_time": NOW - DAY,
        "provider": "OpenAI",
        "model_name": "gpt-4",
        "status_code": 200,
        "outcome": "complete",
        "coverage": "scanned",
    }
    return Span(**{**given, **values})


def pending(store: Store) -> Report:
    """A report that is to be made."""
    report = Report(
        id=str(uuid.uuid4()),
        tenant_id=TENANT,
        report_type="soc2",
        status="pending",
        period_start=NOW - DAY,
        period_end=NOW,
        created_at=NOW,
    )
    store.put_report(report)
    return report


def fill(store: Store) -> None:
    injection, pii = found(1, "prompt_injection", "High"), found(1, "pii_detected", "Medium")
    blocked = {"status_code": 403, "outcome": "blocked", "action": "block"}
    store.put(
        [
            span(TENANT, 1, security_findings=(injection, pii)),
            span(TENANT, 2, provider="Anthropic", model_name="claude", operation_name="chat_completion_stream"),
            span(TENANT, 3, status_code=401, outcome="upstream_error"),
            span(TENANT, 4, status_code=403, outcome="upstream_error", coverage="partial"),
            span(TENANT, 5, security_findings=(found(5, "prompt_injection", "Critical"),), **blocked),
            span(TENANT, 6, start_time=NOW - 60 * DAY),
            span(OTHER, 1, security_findings=(found(9, "pii_detected", "Low"),)),
        ]
    )
    denied = {"reason": "revoked", "count": 7}
    for number, (kind, actor, tenant, data) in enumerate(
        [
            ("api_key_created", "admin-key", TENANT, {}),
            ("tenant_updated", "key:a", TENANT, {}),
            ("traces_deleted", "key:a", TENANT, {}),
            ("access_denied", "key:b", TENANT, denied),
            ("feature_flag_changed", "admin-key", None, {}),
            ("tenant_updated", "key:z", OTHER, {}),
        ]
    ):
        store.audit(
            AuditEvent(
                id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number}")),
                tenant_id=tenant,
                event_type=kind,
                actor=actor,
                resource="r",
                timestamp=NOW - DAY,
                data=data,
            )
        )


def made(served: Served, kind: str, caller: str = "user", **body: Any) -> dict[str, Any]:
    answer = served.call(caller, "POST", "/reports/generate", {"report_type": kind, **PERIOD, **body})
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "pending"
    assert reports.LINE.join(20)
    report: dict[str, Any] = served.call("operator", "GET", f"/reports/{answer.json()['id']}").json()
    return report


def control(report: dict[str, Any], number: str) -> dict[str, Any]:
    (one,) = [each for each in report["content"]["controls"] if each["control"] == number]
    assert one["state"] == ("gap" if one["gaps"] else "supported")
    return one  # type: ignore[no-any-return]


def test_soc2_counts_what_was_kept_of_the_tenant_in_the_period(served: Served, store: Store) -> None:
    fill(store)
    report = made(served, "soc2")
    assert (report["status"], report["error"], report["tenant_id"]) == ("completed", None, TENANT)
    assert report["content"]["report_type"] == "soc2"
    assert report["content"]["data"] == {
        "total_audit_events": 5,  # the request for the report is one of them
        "events_by_type": {
            "api_key_created": 1,
            "tenant_updated": 1,
            "traces_deleted": 1,
            "access_denied": 1,
            "report_requested": 1,
        },
        "total_security_findings": 3,
        "findings_by_severity": {"Medium": 1, "High": 1, "Critical": 1},
        "total_traces_processed": 5,
        "unique_actors": 3,
        "access_control_events": 2,
    }


def test_gdpr_counts_processing_by_provider_and_model(served: Served, store: Store) -> None:
    fill(store)
    assert made(served, "gdpr")["content"]["data"] == {
        "total_processing_activities": 5,
        "processing_by_provider": {"OpenAI": 4, "Anthropic": 1},
        "processing_by_model": {"gpt-4": 4, "claude": 1},
        "pii_findings": 1,
        "data_lifecycle_events": 3,
        "tenants_processed": 1,
    }


def test_hipaa_really_counts_failed_attempts(served: Served, store: Store) -> None:
    """In LLMTrace's proxy they were always 0. What the policy refused is no failed attempt."""
    fill(store)
    data = made(served, "hipaa")["content"]["data"]
    assert data["failed_access_attempts"] == 7 + 2
    assert data["access_by_operation"] == {"chat_completion": 4, "chat_completion_stream": 1}
    assert (data["total_access_events"], data["unauthorized_access_findings"]) == (5, 2)
    assert (data["unique_accessors"], data["access_control_changes"]) == (3, 2)


@pytest.mark.parametrize("kind", ["soc2", "gdpr", "hipaa"])
def test_each_control_has_evidence_or_says_what_is_missing(served: Served, store: Store, kind: str) -> None:
    fill(store)
    content = made(served, kind)["content"]
    assert len(content["controls"]) >= 7
    for each in content["controls"]:
        assert each["evidence"] or each["gaps"]
        assert all("; " in gap for gap in each["gaps"]), "a gap says what to do about it"
    assert len({each["control"] for each in content["controls"]}) == len(content["controls"])
    assert len(content["not_covered"]) == 4
    assert content["policy"] == served.policies.settings.policy_hash


def test_gaps_go_when_the_settings_that_they_ask_for_are_there(served: Served, store: Store) -> None:
    fill(store)
    before = made(served, "soc2")
    assert control(before, "CC6.1")["state"] == "gap"
    assert "auth.enabled" in control(before, "CC6.1")["gaps"][0]
    assert "nothing is stopped" in control(before, "CC6.6")["gaps"][0]
    assert control(before, "CC7.3")["evidence"]["severe_findings"] == 2
    base = served.policies.settings
    served.policies.settings = changed(
        base,
        auth={"enabled": True},
        enforcement={"mode": "block"},
        alerts={"enabled": True},
        anomaly_detection={"enabled": True},
    )
    after = made(served, "soc2")
    for number in ("CC6.1", "CC6.6", "CC7.3", "C1.1"):
        assert control(after, number)["state"] == "supported", number
    # what one call hid stays to be seen
    assert control(after, "CC7.2")["gaps"] == ["calls not or not wholly inspected: 1; their spans say why"]


def test_shadow_mode_stops_nothing_and_the_report_says_so(served: Served, store: Store) -> None:
    served.policies.settings = changed(served.policies.settings, enforcement={"mode": "block", "shadow": True})
    assert "shadow" in control(made(served, "soc2"), "CC6.6")["gaps"][0]


def test_keys_without_end_or_use_and_admins_only_are_gaps(served: Served, store: Store) -> None:
    for number in range(3):
        old = NOW - 100 * DAY
        store.add_key(
            ApiKey(
                id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"k{number}")),
                tenant_id=TENANT,
                name="",
                key_prefix="",
                role="admin",
                created_at=old,
                expires_at=NOW + DAY if number else None,
                revoked_at=NOW - DAY if number == 2 else None,
            ),
            f"{number:064x}",
        )
    report = made(served, "soc2")
    gaps = control(report, "CC6.2")["gaps"]
    assert gaps[0].startswith("keys that never expire: 4 of 5")
    assert gaps[1].startswith("keys not used for 90 days: 2")
    assert control(report, "CC6.2")["evidence"]["keys_revoked"] == 1
    assert control(report, "CC6.3")["evidence"]["keys_by_role"] == {"admin": 3, "operator": 1, "viewer": 1}


def test_retention_is_shown_by_what_is_there(served: Served, store: Store) -> None:
    fill(store)
    report = made(served, "gdpr")
    retention = report["content"]["retention"]
    assert retention["retention_days"] == 30
    assert retention["overdue_traces"] == 1
    assert retention["oldest_call"] == "2025-11-02T00:00:00.000000Z"
    assert retention["newest_call"] == "2025-12-31T00:00:00.000000Z"
    assert retention["deletions"] == 1
    assert retention["period_is_kept"] is False
    assert "traces older than storage.retention_days: 1" in control(report, "Art. 5(1)(e)")["gaps"][0]
    recent = made(served, "gdpr", period_start="2025-12-20T00:00:00Z")
    assert recent["content"]["retention"]["period_is_kept"] is True


def test_a_report_keeps_the_time_at_which_it_was_asked_for(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """In LLMTrace's proxy it was overwritten when the report was done."""
    gather = reports.gather

    def slow(*args: Any) -> Any:
        served.clock.go(90)
        return gather(*args)

    monkeypatch.setattr(reports, "gather", slow)
    report = made(served, "soc2")
    assert report["created_at"] == "2026-01-01T00:00:00.000000Z"
    assert report["completed_at"] == "2026-01-01T00:01:30.000000Z"


def test_a_report_is_pending_until_it_is_done(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    gather = reports.gather
    monkeypatch.setattr(reports, "gather", lambda *args: go.wait(20) and gather(*args))
    ask = {"report_type": "soc2", **PERIOD}
    ids = [served.call("user", "POST", "/reports/generate", ask).json()["id"] for _ in range(2)]
    try:
        assert [served.call("viewer", "GET", f"/reports/{each}").json()["status"] for each in ids] == ["pending"] * 2
    finally:
        go.set()
    assert reports.LINE.join(20)
    assert [served.call("viewer", "GET", f"/reports/{each}").json()["status"] for each in ids] == ["completed"] * 2


@pytest.mark.parametrize(("error", "word"), [(StoreUnavailable("x"), "database"), (RuntimeError("secret"), "log")])
def test_a_report_that_cannot_be_made_has_failed_and_says_why(
    served: Served, error: Exception, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    served.store.faults["stats"] = error
    report = made(served, "hipaa")
    assert (report["status"], report["content"]) == ("failed", None)
    assert word in report["error"]
    assert "secret" not in report["error"] + caplog.text


def test_a_report_that_nobody_makes_any_more_has_failed(served: Served, store: Store) -> None:
    report = pending(store)
    served.clock.go(15 * 60)
    assert served.call("viewer", "GET", f"/reports/{report.id}").json()["status"] == "pending"
    served.clock.go(1)
    told = served.call("viewer", "GET", f"/reports/{report.id}").json()
    assert told["status"] == "failed"
    assert "anew" in told["error"]
    assert served.call("viewer", "GET", "/reports").json()["data"] == [told]


def test_what_comes_too_late_changes_nothing_any_more(store: Store) -> None:
    report = pending(store)
    assert reports.begin(report, store, Settings(), lambda: NOW + reports.LONGEST_US + 1)
    assert reports.LINE.join(20)
    assert store.report(TENANT, report.id) == report


def test_reports_are_those_of_the_tenant(served: Served) -> None:
    report = made(served, "soc2")
    assert [each["id"] for each in served.call("viewer", "GET", "/reports").json()["data"]] == [report["id"]]
    assert served.call("other-admin", "GET", "/reports").json()["total"] == 0
    assert served.call("other-admin", "GET", f"/reports/{report['id']}").status_code == 404
    assert served.call("other-admin", "GET", f"/reports?tenant_id={TENANT}").status_code == 403
    assert served.call("operator", "GET", f"/reports?tenant_id={OTHER}").json()["total"] == 0
    assert served.call("operator", "GET", "/reports").json()["total"] == 1


def test_the_operator_says_whose_report(served: Served) -> None:
    ask = {"report_type": "soc2", **PERIOD}
    assert served.call("operator", "POST", "/reports/generate", ask).status_code == 400
    nobody = {**ask, "tenant_id": str(uuid.uuid4())}
    assert served.call("operator", "POST", "/reports/generate", nobody).status_code == 404
    assert made(served, "soc2", "operator", tenant_id=OTHER)["tenant_id"] == OTHER
    assert served.call("user", "POST", "/reports/generate", {**ask, "tenant_id": OTHER}).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"report_type": "iso27001"},
        {"period_end": PERIOD["period_start"]},
        {"period_start": "2026-02-01T00:00:00Z"},
        {"period_start": "1 January"},
        {"period_end": None},
        {"format": "pdf"},
    ],
)
def test_what_cannot_be_a_report_is_refused(served: Served, store: Store, change: dict[str, Any]) -> None:
    answer = served.call("user", "POST", "/reports/generate", {"report_type": "soc2", **PERIOD, **change})
    assert answer.status_code == 400
    assert store.reports(None, 10, 0).total == 0


def test_a_viewer_asks_for_no_report(served: Served) -> None:
    answer = served.call("viewer", "POST", "/reports/generate", {"report_type": "soc2", **PERIOD})
    assert answer.status_code == 403


def test_too_many_reports_at_once_are_refused(served: Served, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    gather = reports.gather
    monkeypatch.setattr(reports, "LINE", Line("llmtrace-reports", limit=1))
    monkeypatch.setattr(reports, "gather", lambda *args: go.wait(20) and gather(*args))
    try:
        statuses = []
        for _ in range(3):
            answer = served.call("user", "POST", "/reports/generate", {"report_type": "soc2", **PERIOD})
            statuses.append(answer.status_code)
            _until(lambda: reports.LINE._thread is not None)
        assert statuses[0] == 202
        assert statuses[-1] == 503
    finally:
        go.set()
    assert reports.LINE.join(20)
    kept = {report.status for report in store.reports(TENANT, 10, 0).data}
    assert kept == {"completed", "failed"}


def test_a_line_ends_its_thread_and_starts_another() -> None:
    line, done = Line("llmtrace-test"), []
    for number in range(3):
        assert line.put(lambda number=number: done.append(number))  # type: ignore[misc]
        assert line.join(20)
    assert done == [0, 1, 2]
    line.put(lambda: 1 // 0)  # type: ignore[arg-type, return-value]
    line.put(lambda: done.append(3))
    assert line.join(20)
    assert done[-1] == 3
    assert not [thread for thread in threading.enumerate() if thread.name == "llmtrace-test"]


def changed(settings: Any, **groups: dict[str, Any]) -> Any:
    return replace(settings, **{name: replace(getattr(settings, name), **values) for name, values in groups.items()})


def _until(holds: Any) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
