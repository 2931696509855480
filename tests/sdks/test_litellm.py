"""litellm keeps its clients to itself, so install() has to cover them."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, Any

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk.testing import recorded
from tests.sdks.target import ATTACK, BOOKING, joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from llmtrace_sdk.fake_provider import FakeProvider
    from llmtrace_sdk.testing import Records

pytestmark = [
    pytest.mark.matrix,
    # litellm leaves sockets, sessions and coroutines to the garbage collector
    pytest.mark.filterwarnings("ignore"),
]
ROUTES = {"openai": ("gpt-4o-mini", "/v1"), "anthropic": ("claude-test", "")}


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or the import fetches one
    module = pytest.importorskip("litellm", exc_type=ImportError)
    module.suppress_debug_info = True
    llmtrace.install()
    yield module
    llmtrace.uninstall()
    gc.collect()  # here, where its warnings are expected


def _said(chunk: Any) -> str:
    return chunk.choices[0].delta.content or ""


def _ask(litellm: Any, kind: str, asked: dict[str, Any]) -> str:
    if kind == "sync":
        return litellm.completion(**asked).choices[0].message.content
    if kind == "stream":
        return "".join(map(_said, litellm.completion(**asked, stream=True)))

    async def main() -> str:
        if kind == "async":
            return (await litellm.acompletion(**asked)).choices[0].message.content
        return await joined(await litellm.acompletion(**asked, stream=True), _said)

    return asyncio.run(main())


def _let_go(litellm: Any, asked: dict[str, Any], records: Records) -> None:
    """litellm stops short of the end of its anthropic route's streams, and keeps them until some later call."""
    deadline = time.monotonic() + 20
    while not any(record.prompt.stream for record in records.settled()) and time.monotonic() < deadline:
        _ask(litellm, "sync", {**asked, "messages": [{"role": "user", "content": "hello"}]})
        litellm.error_logs.clear()
        gc.collect()
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["sync", "stream", "async", "astream"])
@pytest.mark.parametrize("route", ROUTES)
def test_install_covers_it(
    litellm: Any, route: str, kind: str, provider: FakeProvider, spans: InMemorySpanExporter
) -> None:
    model, path = ROUTES[route]
    asked = {
        "model": f"{route}/{model}+pii,gzip,usage=on",
        "api_base": provider.url + path,
        "api_key": "none",
        "messages": [{"role": "user", "content": BOOKING}],
    }
    with recorded() as records:
        assert "Maren Holt" in _ask(litellm, kind, asked)
        if (route, kind) == ("anthropic", "stream"):
            _let_go(litellm, asked, records)
        gc.collect()
        [record] = [r for r in records.settled() if r.prompt.stream == ("stream" in kind)]
    assert {finding.phase for finding in record.findings} == {"input", "output"}
    assert record.answer.usage.input_tokens
    inference = [s for s in spans.get_finished_spans() if (s.attributes or {}).get("gen_ai.provider.name")]
    assert len(inference) == len(records)


@pytest.mark.parametrize("kind", ["sync", "stream", "async", "astream"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_block_is_a_bad_request(litellm: Any, route: str, kind: str, provider: FakeProvider) -> None:
    llmtrace.configure(enforcement={"mode": "block"})
    provider.reset()
    model, path = ROUTES[route]
    asked = {
        "model": f"{route}/{model}",
        "api_base": provider.url + path,
        "api_key": "none",
        "messages": [{"role": "user", "content": ATTACK}],
    }
    with recorded() as records, pytest.raises(litellm.BadRequestError) as caught:
        _ask(litellm, kind, asked)
    [record] = records.settled()
    assert llmtrace.blocked(caught.value) == record.decision
    assert provider.stats()["requests"] == 0
