from __future__ import annotations

import csv
import io
import json
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from llmtrace_relay.api.export import COLUMNS
from llmtrace_relay.store import StoreUnavailable
from tests.relay.api.calls import call, span_id
from tests.relay.api.conftest import COUNT
from tests.relay.api.serving import TENANT_A

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_relay.model import Span
    from tests.relay.api.serving import Served


ENOUGH = 12 << 20


class Endless:
    """A store with calls without end; `closed` is set when somebody stops reading them."""

    def __init__(self, text: str = "x" * 2000, end: int | None = None) -> None:
        self.closed = threading.Event()
        self.given = 0
        self._text = text
        self._end = end

    def each(self, query: Any) -> Iterator[Span]:
        assert query.order == "oldest"
        try:
            while self._end is None or self.given < self._end:
                self.given += 1
                yield call(TENANT_A, self.given, prompt=self._text)
            raise StoreUnavailable("gone")
        finally:
            self.closed.set()


@pytest.fixture
def endless(served: Served) -> Endless:
    store = Endless()
    served.store.instead["each"] = store.each
    return store


def test_lines_are_the_calls_the_oldest_first(client: httpx.Client) -> None:
    answer = client.get("/api/v1/export")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="llmtrace-spans.ndjson"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.endswith("\n")
    spans = [json.loads(line) for line in answer.text.splitlines()]
    assert [span["span_id"] for span in spans] == [span_id(TENANT_A, number) for number in range(COUNT)]
    told = client.get(f"/api/v1/spans/{span_id(TENANT_A, 0)}").json()
    del told["monitoring_scope"]
    assert spans[0] == told


def test_a_table_of_the_calls(client: httpx.Client) -> None:
    answer = client.get("/api/v1/export", params={"format": "csv", "provider": "openai"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["span_id"] for row in rows] == [span_id(TENANT_A, number) for number in range(0, COUNT, 2)]
    first = rows[0]
    assert tuple(first) == COLUMNS
    assert first["start_time"] == "2025-01-01T00:00:00.000000Z"
    assert first["security_findings"] == "prompt_injection pii_detected"
    assert first["billed"] == "True"
    assert rows[1]["security_score"] == ""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(served: Served, text: str) -> None:
    tenant = "eeeeeeee-0000-4000-8000-000000000005"
    served.store.put([call(tenant, 1, prompt=text, response='say "hi", he,\r\nsaid')])
    with served.client(tenant) as client:
        answer = client.get("/api/v1/export", params={"format": "csv"})
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert row["prompt"] == f"'{text}"
    assert row["response"] == 'say "hi", he,\r\nsaid'


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_nothing_to_tell_is_no_error(client: httpx.Client, form: str) -> None:
    answer = client.get("/api/v1/export", params={"format": form, "model": "none"})
    assert answer.status_code == 200
    assert len(answer.text.splitlines()) == (1 if form == "csv" else 0)


def test_who_goes_away_stops_the_reading(client: httpx.Client, endless: Endless) -> None:
    with client.stream("GET", "/api/v1/export") as answer:
        assert answer.status_code == 200
        assert next(answer.iter_bytes())
        assert not endless.closed.is_set()
    assert endless.closed.wait(20)


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_a_long_answer_takes_little_memory(served: Served, client: httpx.Client, form: str) -> None:
    store = Endless("x" * 30_000)
    served.store.instead["each"] = store.each
    size = 0
    with client.stream("GET", "/api/v1/export", params={"format": form}) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        tracemalloc.start()
        try:
            while size < ENOUGH:
                size += len(next(pieces))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < ENOUGH / 4
    assert store.closed.wait(20)


def test_an_answer_that_breaks_off_is_not_taken_for_the_whole(
    served: Served, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    store = Endless(end=500)
    served.store.instead["each"] = store.each
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/api/v1/export")
    assert store.closed.is_set()
    assert "StoreUnavailable at" in caplog.text


def test_a_database_that_is_away_is_told_before_there_is_an_answer(served: Served, client: httpx.Client) -> None:
    served.store.instead["each"] = Endless(end=0).each
    assert client.get("/api/v1/export").status_code == 503


def test_forms_that_are_not_known(client: httpx.Client) -> None:
    answer = client.get("/api/v1/export", params={"format": "xml"})
    assert answer.status_code == 400
    assert "format: must be 'ndjson' or 'csv'" in answer.json()["error"]["message"]
    assert "limit: is not known here" in client.get("/api/v1/export", params={"limit": 1}).text
