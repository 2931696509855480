"""docs/coverage.md is the truth: what it says is looked at is read, and what it says can be stopped does not arrive."""

from __future__ import annotations

from importlib import import_module
from typing import Any, get_args

import httpx2
import pytest
from msgspec import structs

import llmtrace_sdk as llmtrace
from llmtrace_sdk import coverage, detectors, providers
from llmtrace_sdk.core.model import Delta, Kind
from llmtrace_sdk.core.plan import Fusing
from llmtrace_sdk.core.vault import PLACEHOLDER
from llmtrace_sdk.fake_provider.answer import TOKEN
from llmtrace_sdk.typing import UNDECLARED_ROW, UNKNOWN_ROW, Covers, Endpoint, RequestHead, covers_of, row_of
from tests.coverage_planting import asking, framed, planted, read_request, read_stream, read_whole, send, sorts
from tests.coverage_shapes import CASES, PROVIDER_TESTS, Case
from tools import coverage_docs

SECRET = TOKEN.encode()
MARK = b"[REDACTED:"
ROWS = {row.id: row for row in coverage.rows()}
NAMES = sorted({case.name for case in CASES})
each_endpoint = pytest.mark.parametrize("name", NAMES)
each_case = pytest.mark.parametrize("case", CASES, ids=[f"{case.name}-{case.host}" for case in CASES])


def cases(name: str) -> list[Case]:
    return [case for case in CASES if case.name == name]


def declared(covers: Covers, part: str) -> set[tuple[str, str]]:
    if part == "request":
        return {(channel, kind) for channel, kinds in covers.request.items() for kind in kinds}
    return {(coverage.channel_of(kind), kind) for kind in getattr(covers, part)}


def seen(those: list[Case], part: str) -> set[tuple[str, str]]:
    read: Any = {"request": read_request, "answer": read_whole, "stream": read_stream}[part]
    shapes = {"request": "requests", "answer": "wholes", "stream": "streams"}[part]
    return {sort for case in those for shape in getattr(case, shapes) for sort in sorts(read(case, shape))}


def undeclared(those: list[Case]) -> set[tuple[str, str]]:
    """What endpoints yield that they do not declare."""
    return {
        sort
        for part in ("request", "answer", "stream")
        for sort in seen(those, part) - {sort for case in those for sort in declared(case.covers, part)}
    }


class TestDeclarations:
    def test_every_endpoint_that_is_declared_is_tested(self) -> None:
        assert {row.rpartition(".")[0] for row in ROWS} == set(NAMES)
        assert len(ROWS) == sum(2 if cases(name)[0].covers.stream else 1 for name in NAMES)

    @each_endpoint
    @pytest.mark.parametrize("part", ["request", "answer", "stream"])
    def test_what_is_read_is_what_is_declared(self, name: str, part: str) -> None:
        assert seen(cases(name), part) == declared(cases(name)[0].covers, part)

    @pytest.mark.parametrize("part", ["request", "answer", "stream"])
    def test_a_kind_that_is_not_declared_is_found(self, part: str) -> None:
        (case,) = cases("openai_chat.chat_completions")
        assert undeclared([case]) == set()
        less = {"request": {"user": ("text",)}, "answer": ("text",), "stream": ("text",)}[part]
        provider = _Declaring(case.provider, (structs.replace(case.covers, **{part: less}),))
        assert ("assistant", "tool_call") in undeclared([_by(case, provider)])

    def test_a_provider_that_yields_more_than_it_declares_is_found(self) -> None:
        (case,) = cases("openai_completions.completions")
        provider = _Declaring(case.provider, case.provider.covers, more=Delta("hm", "reasoning", 0, 9, "/x"))
        assert undeclared([_by(case, provider)]) == {("assistant", "reasoning")}


class _Declaring:
    """Another's wire format with declarations of its own; `more` is what it also finds in whole answers."""

    def __init__(self, inner: Any, covers: tuple[Covers, ...], more: Delta | None = None) -> None:
        self.covers = covers
        self._inner, self._more = inner, more

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def reader(self, endpoint: Endpoint) -> Any:
        reader, more = self._inner.reader(endpoint), self._more
        if more is None:
            return reader
        return type("More", (), {"body": lambda _, body: [*reader.body(body), more], "event": reader.event})()


def _by(case: Case, provider: Any) -> Case:
    return Case(provider, case.path, case.requests, case.wholes, case.streams)


def heads() -> list[RequestHead]:
    """The heads of all the requests that the tests of the wire formats match."""
    found = []
    for file in sorted(PROVIDER_TESTS.glob("test_*.py")):
        module = import_module(file.stem)
        tests = [member for holder in (module, *_classes(module)) for member in vars(holder).values()]
        for mark in [mark for test in tests for mark in getattr(test, "pytestmark", ()) if hasattr(test, "__name__")]:
            names = [mark.args[0]] if isinstance(mark.args[0], str) else mark.args[0]
            if "path" in names:
                found += [_head(dict(zip(names, values, strict=True))) for values in mark.args[1]]
    return found


def _classes(module: Any) -> list[type]:
    return [member for member in vars(module).values() if isinstance(member, type)]


def _head(given: dict[str, Any]) -> RequestHead:
    method, host = given.get("method", "POST"), given.get("host", "127.0.0.1")
    return RequestHead(method, "https", host, None, given["path"], httpx2.Headers(given.get("headers") or {}))


def test_every_endpoint_that_is_matched_has_a_row_and_is_what_it_declares() -> None:
    matched = [
        (provider, endpoint)
        for head in [*heads(), *(case.head for case in CASES)]
        for provider in providers.available()
        if (endpoint := provider.match(head)) is not None
    ]
    assert len(matched) > 60
    for provider, endpoint in matched:
        covers = covers_of(provider, endpoint)
        assert covers is not None, endpoint
        assert row_of(provider, endpoint, asked=endpoint.stream is True, came=None) in ROWS
        assert endpoint.framing == covers.framing
        assert endpoint.signed is (covers.signed == "always") or covers.signed == "at_aws"
        assert not endpoint.signed or endpoint.provider == "aws.bedrock"
    assert {provider.name for provider, _ in matched} == {row.partition(".")[0] for row in ROWS}


def test_the_document_is_up_to_date() -> None:
    document = coverage_docs.FILE.read_text("utf-8")
    assert document == coverage_docs.text(document), (
        "docs/coverage.md is out of date; run: .venv/bin/python -m tools.coverage_docs"
    )
    for row in (*ROWS, UNDECLARED_ROW, UNKNOWN_ROW):
        assert f"| `{row}` |" in document


def test_only_rules_hold_streams_and_no_classifier_judges_answers() -> None:
    ours = {detector.name: detector for detector in detectors.build()}
    judges = {judge.name: judge for judge in coverage.judges_of_answers()}
    assert {name for name, detector in ours.items() if "output" in detector.phases} == set(judges)
    assert not any("output" in detector.phases for detector in ours.values() if isinstance(detector, Fusing))
    assert judges["secret_leakage"].holds == get_args(Kind)
    assert judges["canary_token_leakage"].holds == ()
    assert set(judges["canary_token_leakage"].ends) == set(get_args(Kind))


def test_without_rules_a_stream_is_not_held() -> None:
    (canary,) = detectors.build(["canary_token_leakage"])
    found = {row.id: row for row in coverage.rows(judges=[canary])}
    stream, whole = (found[f"anthropic.messages.{how}"] for how in ("stream", "whole"))
    assert {cell.enforcement for cell in stream.answers} == {"scanned at the end"}
    assert {cell.enforcement for cell in whole.answers} == {"whole: block, redact"}
    assert {cell.enforcement for cell in whole.requests} == {"not scanned"}


class TestRows:
    """The row that a call gets."""

    ENDPOINT = Endpoint("x", "chat", "talk")

    @pytest.mark.parametrize(
        ("asked", "came", "row"),
        [
            (False, None, "mine.talk.whole"),
            (True, None, "mine.talk.stream"),
            (True, False, "mine.talk.whole"),
            (False, True, "mine.talk.stream"),
        ],
    )
    def test_how_the_answer_came_decides(self, asked: bool, came: bool | None, row: str) -> None:
        provider: Any = type("Mine", (), {"name": "mine", "covers": (Covers("talk", stream=("text",)),)})
        assert row_of(provider, self.ENDPOINT, asked=asked, came=came) == row

    def test_a_stream_where_there_is_none_is_not_declared(self) -> None:
        provider: Any = type("Mine", (), {"name": "mine", "covers": (Covers("talk", answer=("text",)),)})
        assert row_of(provider, self.ENDPOINT, asked=True, came=None) == "mine.talk.whole"
        assert row_of(provider, self.ENDPOINT, asked=False, came=True) == UNDECLARED_ROW

    @pytest.mark.parametrize("members", [{}, {"covers": ()}, {"covers": None}, {"covers": (1, Covers("other"))}])
    def test_a_wire_format_that_says_nothing(self, members: dict[str, Any]) -> None:
        provider: Any = type("Theirs", (), {"name": "theirs", **members})
        assert row_of(provider, self.ENDPOINT, asked=False, came=False) == UNDECLARED_ROW
        assert row_of(None, None, asked=False, came=None) == UNKNOWN_ROW

    def test_an_operation_of_its_own_comes_first(self) -> None:
        both = (Covers("talk", answer=("text",)), Covers("talk", "chat"))
        provider: Any = type("Mine", (), {"name": "mine", "covers": both})
        assert covers_of(provider, self.ENDPOINT) is both[1]
        assert covers_of(provider, Endpoint("x", "other", "talk")) is both[0]


def enforced(row: str) -> dict[tuple[str, str], str]:
    return {(cell.channel, cell.kind): cell.enforcement for cell in ROWS[row].answers}


@pytest.mark.parametrize("mode", ["block", "redact"])
def test_a_stream_that_is_announced_as_json_does_not_get_through(mode: str) -> None:
    llmtrace.configure(enforcement={"mode": mode})
    (case,) = cases("openai_chat.chat_completions")
    events = planted(case.streams[0], lambda e: read_stream(case, e), ("assistant", "text"))
    sent = send(case, asking(case, case.requests[0], streamed=False), framed(case, events), "json")
    assert SECRET not in sent.out
    assert sent.record.decision.blocked


@pytest.mark.parametrize("mode", ["block", "redact"])
@each_case
class TestEnforcement:
    """The words of the table, for each kind of text of each endpoint: a secret does not get through."""

    def test_requests(self, case: Case, mode: str) -> None:
        llmtrace.configure(enforcement={"mode": mode})
        row = ROWS[f"{case.name}.whole"]
        for cell in row.requests:
            bodies = [planted(r, lambda b: read_request(case, b), (cell.channel, cell.kind)) for r in case.requests]
            (body, *_) = [found for found in bodies if found is not None]
            sent = send(case, asking(case, body, streamed=False), [b"{}"], "json")
            if mode == "block" or cell.enforcement == "block":
                assert (sent.upstream, sent.record.outcome) == ([], "blocked"), cell
            else:
                assert sent.record.decision.action == "redact", cell
                assert len(sent.upstream) == 1
                assert SECRET not in sent.upstream[0], cell
                assert MARK in sent.upstream[0] or PLACEHOLDER.search(sent.upstream[0])

    def test_whole_answers(self, case: Case, mode: str) -> None:
        llmtrace.configure(enforcement={"mode": mode})
        row = f"{case.name}.whole"
        for sort, words in enforced(row).items():
            planted_ones = [planted(whole, lambda b: read_whole(case, b), sort) for whole in case.wholes]
            answers = [answer for answer in planted_ones if answer is not None]
            assert answers or not case.wholes, sort
            for answer in answers:
                sent = send(case, asking(case, case.requests[0], streamed=False), [case.data(answer)], "json")
                assert SECRET not in sent.out, sort
                if mode == "block" or words == "whole: block":
                    assert (sent.record.outcome, sent.record.decision.action) == ("blocked", "block"), sort
                else:
                    assert (sent.record.outcome, sent.record.decision.action) == ("complete", "redact"), sort
                    assert MARK in sent.out
                assert sent.record.coverage.row == row

    def test_streamed_answers(self, case: Case, mode: str) -> None:
        row = f"{case.name}.stream"
        if row not in ROWS:
            pytest.skip("it does not stream")
        llmtrace.configure(enforcement={"mode": mode})
        for sort, words in enforced(row).items():
            planted_ones = [planted(events, lambda e: read_stream(case, e), sort) for events in case.streams]
            answers = [answer for answer in planted_ones if answer is not None]
            assert answers or not case.streams, sort
            for answer in answers:
                chunks = framed(case, answer)
                sent = send(case, asking(case, case.requests[0], streamed=True), chunks, case.covers.framing)
                assert sent.record.coverage.row == row
                assert SECRET not in sent.out, sort
                ends = mode == "block" or words == "held: block"
                assert (sent.raised, sent.record.outcome == "blocked", MARK in sent.out) == (ends, ends, not ends), sort
