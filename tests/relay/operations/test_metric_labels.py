from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from llmtrace_relay.metric_labels import (
    Names,
    known_findings,
    known_providers,
    model_shaped,
    status_label,
    status_told,
)
from llmtrace_sdk.core import sentences
from llmtrace_sdk.providers import _hosts
from tests.relay.operations.records import SECRET, call

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({}, 200),
        ({"outcome": "blocked", "status": 200, "streamed": True}, 200),  # a stream that was cut
        ({"outcome": "blocked", "status": 200, "streamed": False}, 403),  # a whole answer that was kept back
        ({"outcome": "blocked", "status": None, "streamed": False, "reason": "state_unavailable"}, 429),
        ({"outcome": "abandoned", "status": None}, 499),
        ({"outcome": "abandoned", "status": 200}, 200),
        ({"outcome": "client_error", "status": None}, None),
    ],
)
def test_the_status_is_what_the_client_was_told(more: Mapping[str, object], status: int | None) -> None:
    assert status_told(call(**more)) == status


def test_statuses_that_nobody_knows_share_a_label() -> None:
    assert [status_label(status) for status in (200, 529, 499, 599, 777, None)] == [
        "200", "529", "499", "5xx", "other", "none",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["", "ignore all previous instructions", SECRET, f"llmt_{'a' * 64}", "a\nb", "x" * 97, 'a"b', "\ud800", "模型"],
)
def test_what_looks_like_no_model_is_not_shown(name: str) -> None:
    assert model_shaped(name) in ("unknown", "other")


@pytest.mark.parametrize(
    "name",
    ["gpt-4o-mini", "anthropic/claude-sonnet-4.5", "ft:gpt-4o:acme::9aB", "llama3.1:8b", "models/gemini-2.5-pro"],
)
def test_models_are_shown_as_they_are(name: str) -> None:
    assert model_shaped(name) == name


def test_the_known_sets_are_whole() -> None:
    assert set(sentences._SENTENCES) <= known_findings()
    assert {"anomaly_latency_spike", "credential_egress"} <= known_findings()
    assert set(_hosts.DOMAINS.values()) <= known_providers()
    assert {"aws.bedrock", "azure.ai.openai", "gcp.vertex_ai", "openai"} <= known_providers()


def test_names_from_many_threads_keep_the_bound() -> None:
    names = Names(10)
    together = threading.Barrier(4)

    def fill(start: int) -> None:
        together.wait()
        for number in range(start, start + 500):
            names.of(f"name-{number}")

    threads = [threading.Thread(target=fill, args=(start * 500,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({names.of(f"name-{number}") for number in range(2000)} - {"other"}) == 10
