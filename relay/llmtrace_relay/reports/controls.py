"""What the evidence says about the things that frameworks ask for, each with what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llmtrace_relay import wire
from llmtrace_relay.listening import is_local
from llmtrace_relay.reports.evidence import DAY_US, IDLE_DAYS, matching
from llmtrace_sdk.core.policy import Policy

if TYPE_CHECKING:
    from llmtrace_relay.reports.evidence import Evidence


class Shown(NamedTuple):
    """What there is, and what there is not: one sentence each, with what to do about it."""

    evidence: dict[str, Any]
    gaps: list[str]


def control(number: str, asks: str, *shown: Shown) -> dict[str, Any]:
    """A control of a framework with what is shown for it. `supported` is no more than: nothing known is missing."""
    gaps = [gap for each in shown for gap in each.gaps]
    evidence = {name: value for each in shown for name, value in each.evidence.items()}
    return {
        "control": number,
        "asks": asks,
        "state": "gap" if gaps else "supported",
        "evidence": evidence,
        "gaps": gaps,
    }


def access(facts: Evidence) -> Shown:
    """Nobody gets in without a key of their own."""
    auth, keys = facts.settings.auth, facts.keys
    gaps = []
    if not auth.enabled:
        gaps.append("everybody who reaches the relay is an admin; set auth.enabled")
    elif not keys.good:
        gaps.append("the tenant has no key of its own; POST /api/v1/auth/keys makes one for each person and program")
    return Shown({"keys_required": auth.enabled, "keys": keys.good, "kept_of_keys": "SHA-256"}, gaps)


def lifetimes(facts: Evidence) -> Shown:
    """Keys come and go."""
    keys, gaps = facts.keys, []
    if keys.endless:
        gaps.append(f"keys that never expire: {keys.endless} of {keys.good}; make keys with expires_in_days")
    if keys.idle:
        gaps.append(f"keys not used for {IDLE_DAYS} days: {keys.idle}; revoke them")
    evidence = {"keys_created": keys.created, "keys_revoked": keys.revoked}
    return Shown({**evidence, "token_resets": facts.audit.by_type.get("tenant_token_reset", 0)}, gaps)


def roles(facts: Evidence) -> Shown:
    """Who may do what."""
    by_role = facts.keys.by_role
    only_admins = facts.keys.good > 1 and by_role.get("admin") == facts.keys.good
    gaps = ["every key is an admin's; programs need the role operator, readers viewer"] if only_admins else []
    return Shown({"keys_by_role": by_role}, gaps)


def attempts(facts: Evidence) -> Shown:
    """Failed attempts are written down."""
    gaps = [] if facts.settings.auth.enabled else ["nobody can fail to get in; set auth.enabled"]
    denied = facts.audit.denied
    return Shown(
        {"refused_by_the_relay": sum(denied.values()), "reasons": denied, "refused_by_vendors": facts.calls.refused},
        gaps,
    )


def trail(facts: Evidence) -> Shown:
    """What happened is written down."""
    settings, gaps = facts.settings, []
    if not settings.enable_trace_storage:
        gaps.append("calls are not kept; set enable_trace_storage")
    if not facts.audit.whole:
        gaps.append("there are too many events for one report; give a shorter period")
    return Shown({"calls": facts.calls.spans, "audit_events": facts.audit.events, "actors": facts.audit.actors}, gaps)


def changes(facts: Evidence) -> Shown:
    """What decides about calls does not change unseen."""
    gap = "changes of the configuration file are not in the audit; keep the file under version control"
    events = facts.audit.about("tenant_", "key_")
    evidence = {"flag_changes": facts.audit.flag_changes, "changes_of_tenant_and_keys": events}
    return Shown({**evidence, "policy": facts.settings.policy_hash}, [gap])


def transmission(facts: Evidence) -> Shown:
    """Nobody listens in."""
    settings, gaps = facts.settings, []
    if not (settings.enable_tls or is_local(settings.listen_addr)):
        gaps.append("others reach the relay without TLS; set enable_tls, or put a proxy with TLS before it")
    urls = [settings.upstream_url, *(upstream.url for upstream in settings.upstreams)]
    plain = sum(url.startswith("http://") for url in urls)
    if plain:
        gaps.append(f"upstreams spoken to without TLS: {plain} of {len(urls)}; use https://")
    return Shown({"tls": settings.enable_tls, "upstreams_with_tls": len(urls) - plain}, gaps)


def threats(facts: Evidence) -> Shown:
    """Attacks are found and stopped."""
    policy, calls, gaps = facts.settings.enforcement, facts.calls, []
    if policy.shadow:
        gaps.append("enforcement.shadow is on and nothing is stopped; switch it off")
    elif not Policy(policy).for_call(tenant=facts.tenant_id).may_stop:
        gaps.append("findings are written down and nothing is stopped; set enforcement.mode to redact or block")
    evidence = {"mode": policy.mode, "findings": calls.findings, "injections": calls.findings_about("injection")}
    return Shown({**evidence, "blocked_calls": calls.blocked}, gaps)


def watching(facts: Evidence) -> Shown:
    """What is unusual is seen."""
    covered, gaps = facts.calls.by_coverage, []
    unread = facts.calls.spans - covered.get("scanned", 0)
    if unread:
        gaps.append(f"calls not or not wholly inspected: {unread}; their spans say why")
    if not facts.settings.anomaly_detection.enabled:
        gaps.append("calls are not compared with earlier ones; set anomaly_detection.enabled")
    return Shown({"calls_by_coverage": covered, "findings_by_severity": facts.calls.findings_by_severity}, gaps)


def telling(facts: Evidence) -> Shown:
    """Somebody is told."""
    alerts, router = facts.settings.alerts, facts.settings.action_router
    gaps = [] if alerts.enabled else ["nobody is told of findings; set alerts"]
    severe = matching(facts.calls.findings_by_severity, ("High", "Critical"))
    return Shown({"alerts": alerts.enabled, "actions_after_findings": router.enabled, "severe_findings": severe}, gaps)


def minimised(facts: Evidence) -> Shown:
    """No more is kept than is needed."""
    capture = facts.settings.storage.capture
    gaps = ["texts of calls are kept as they are; set storage.capture to redacted"] if capture == "full" else []
    return Shown({"capture": capture, "personal_data_found": facts.calls.findings_about("pii")}, gaps)


def deleted_in_time(facts: Evidence) -> Shown:
    """Nothing is kept longer than said."""
    kept, days = facts.kept, facts.settings.storage.retention_days
    gaps = []
    if days is None:
        gaps.append("calls are kept for ever; set storage.retention_days")
    if kept.overdue:
        gaps.append(f"traces older than storage.retention_days: {kept.overdue}; see the relay's log")
    return Shown({"retention_days": days, "oldest_call": _time(kept.oldest), "overdue": kept.overdue}, gaps)


def erased(facts: Evidence) -> Shown:
    """What was asked to be deleted is."""
    return Shown({"deletions": facts.audit.about("delete", "purge")}, [])


def retention(facts: Evidence) -> dict[str, Any]:
    """How long calls are kept, and whether the report can know all of the period."""
    storage, kept = facts.settings.storage, facts.kept
    days = storage.retention_days
    return {
        "retention_days": days,
        "max_bytes": storage.max_bytes,
        "capture": storage.capture,
        "oldest_call": _time(kept.oldest),
        "newest_call": _time(kept.newest),
        "stored_bytes": kept.bytes,
        "overdue_traces": kept.overdue,
        "deletions": facts.audit.about("delete", "purge"),
        "audit": "kept until the database is deleted",
        "period_is_kept": days is None or facts.start >= facts.now - days * DAY_US,
    }


def _time(at: int | None) -> str | None:
    return None if at is None else wire.rfc3339(at)
