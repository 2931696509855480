"""Redaction of captured texts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.core.model import CallRecord, Coverage, Finding, Segment
from llmtrace_sdk.telemetry.redaction import PART_LIMIT_BYTES, TextForm, is_sensitive, redact, truncate

from .rig import decided, finding, record

KEY = b"k" * 32
# Put together here so that no scanner of repositories takes them for real ones.
CREDENTIALS = [
    "sk-" + "proj-abcdefghijklmnop1234",
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789",
    "xoxb-" + "1234567890-abcdef",
    "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "Bearer " + "abcdefghijklmnop123456",
    "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
]


def pii(start: int, end: int, kind: str = "pii_detected") -> Finding:
    return finding(type=kind, category="sensitive_info_disclosure", start=start, end=end)


def test_spans_are_replaced_and_the_rest_stays() -> None:
    assert redact("call 555-1234 or 555-9876 now", [pii(17, 25), pii(5, 13, "phone")]) == (
        "call [REDACTED:phone] or [REDACTED:pii_detected] now"
    )


def test_overlapping_spans_become_one() -> None:
    assert redact("abcdefgh", [pii(1, 4), pii(3, 6, "other")]) == "a[REDACTED:pii_detected]gh"


@pytest.mark.parametrize(("start", "end"), [(0, 0), (3, 3), (5, 2), (-1, 3), (99, 120)])
def test_a_finding_without_a_usable_span_hides_everything(start: int, end: int) -> None:
    assert redact("secret text", [pii(start, end)]) == "[REDACTED:pii_detected]"


@given(st.text(max_size=60), st.lists(st.tuples(st.integers(0, 59), st.integers(1, 20)), max_size=6))
def test_no_character_of_a_span_remains(text: str, spans: list[tuple[int, int]]) -> None:
    found = [pii(start, start + size, "x") for start, size in spans if start < len(text)]
    hidden = {i for start, size in spans if start < len(text) for i in range(start, start + size)}
    shown = "".join(c for i, c in enumerate(text) if i not in hidden)
    assert redact(text, found).replace("[REDACTED:x]", "") == shown.replace("[REDACTED:x]", "")


@pytest.mark.parametrize(
    ("kind", "category", "expected"),
    [
        ("pii_detected", "", True),
        ("secret_leakage", "", True),
        ("email", "sensitive_info_disclosure", True),
        ("prompt_injection", "prompt_injection", False),
    ],
)
def test_which_findings_hide_their_text(kind: str, category: str, expected: bool) -> None:
    assert is_sensitive(finding(type=kind, category=category)) is expected


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_credentials_are_hidden_without_any_finding(credential: str) -> None:
    form = TextForm("redacted", record(), KEY)
    shown, notes = form.apply(Segment(f"use {credential} please", "user", "/messages/0/content"), "input")
    assert shown.startswith("use [REDACTED:credential]")
    assert credential.rsplit(maxsplit=1)[-1] not in shown
    assert notes == {}


def test_a_credential_across_the_cut_is_hidden_too() -> None:
    text = "x" * (PART_LIMIT_BYTES - 11) + " " + CREDENTIALS[0]
    shown, notes = TextForm("redacted", record(), KEY).apply(Segment(text, "user", "/p"), "input")
    assert "sk-" not in shown
    assert notes == {"truncated": True}
    assert len(shown.encode()) <= PART_LIMIT_BYTES


@pytest.mark.parametrize(
    "told",
    [
        record(decision=decided("block")),
        record(decision=decided("flag", "block")),
        record(decision=decided("allow", degraded=True)),
        record(coverage=Coverage("unscanned", ("invalid_json",))),
        record(coverage=Coverage("partial", ("text_limit",))),
        record(coverage=Coverage("partial", ("findings_limit",))),
        record(coverage=Coverage("partial", ("detector_failed",))),
        record(coverage=Coverage("partial", ("request_fault",))),
    ],
)
def test_where_findings_may_be_missing_redaction_gives_way_to_digests(told: CallRecord) -> None:
    assert TextForm("redacted", told, KEY).form == "hash"
    assert TextForm("full", told, KEY).form == "full"


def test_a_part_of_unknown_shape_does_not_make_the_rest_unpresentable() -> None:
    assert TextForm("redacted", record(coverage=Coverage("partial", ("unknown_part",))), KEY).form == "redacted"


def test_digests_are_keyed_and_comparable() -> None:
    segment = Segment("secret", "user", "/p")
    one, notes = TextForm("hash", record(), KEY).apply(segment, "input")
    assert one == TextForm("hash", record(), KEY).apply(segment, "input")[0]
    assert one != TextForm("hash", record(), b"other" * 8).apply(segment, "input")[0]
    assert one.startswith("hmac-sha256:")
    assert len(one) == 28
    assert notes == {"hashed": True, "length": 6}


@given(st.text(), st.integers(0, 40))
def test_truncation_cuts_between_characters(text: str, limit: int) -> None:
    shown = truncate(text, limit)
    assert text.startswith(shown)
    assert limit - 4 < len(shown.encode()) <= limit or shown == text


def test_long_texts_take_linear_time() -> None:
    form = TextForm("redacted", record(), KEY)
    segment = Segment("sk-" * 1_000_000 + "-----BEGIN " * 100_000, "user", "/p")
    began = time.perf_counter()
    form.apply(segment, "input")
    assert time.perf_counter() - began < 2.0
