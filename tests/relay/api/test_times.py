from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_relay import wire

OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=OFFSETS))
def test_what_is_read_is_what_was_meant(at: datetime) -> None:
    expected = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert wire.micros(at.isoformat()) == expected
    assert wire.micros(at.isoformat().replace("+", " ")) == expected, "a + in a URL is a space"


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_told_can_be_read(at: datetime) -> None:
    micros = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    told = wire.rfc3339(micros)
    assert datetime.fromisoformat(told) == at
    assert len(told) == len("2025-01-01T00:00:00.000000Z")
    assert wire.micros(told) == micros


@given(st.text(max_size=40))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a time"):
        wire.micros(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2025-01-01T00:00:00.1z", "2025-01-01T00:00:00.100000Z"),
        ("2025-01-01t00:00:00.123456789Z", "2025-01-01T00:00:00.123456Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        ("2025-01-01 00:00:00-00:30", "2025-01-01T00:30:00.000000Z"),
    ],
)
def test_spellings(text: str, told: str) -> None:
    assert wire.rfc3339(wire.micros(text)) == told


@pytest.mark.parametrize(
    "text",
    [
        "", "2025-01-01", "20250101T000000Z", "2025-W01-1T00:00:00Z", "2025-01-01T24:00:00Z", "2025-13-01T00:00:00Z",
        "2025-01-01T00:00:00+0100", "2025-01-01T00:00:00Z\n", "2025-01-01T00:00:00.Z", "٢٠٢٥-01-01T00:00:00Z", "now",
        "2025-01-01T00:00:00+24:00", "0000-01-01T00:00:00Z", "2025-01-01T00:00:61Z", "1e3",
    ],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="must be a time"):
        wire.micros(text)


def test_times_that_no_calendar_has_are_the_nearest_ones() -> None:
    assert wire.rfc3339(2**63) == "9999-12-31T23:59:59.999999Z"
    assert wire.rfc3339(-(2**63)) == "0001-01-01T00:00:00.000000Z"
