"""HTTP clients that an SDK makes after instrument(): one for each event loop, or in place of a closed one."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk.testing import recorded
from tests.sdks.rig import TARGETS, Rig

if TYPE_CHECKING:
    from llmtrace_sdk.fake_provider import FakeProvider
    from tests.sdks.target import Target

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
ROWS = {target.name: target for target in TARGETS}


def _core(name: str) -> Any:
    return pytest.param(ROWS[name], id=name)


def _matrix(name: str) -> Any:
    return pytest.param(ROWS[name], id=name, marks=pytest.mark.matrix)


@pytest.mark.filterwarnings(
    # the first loop's pool cannot be closed from the second one
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
@pytest.mark.parametrize("target", [_core("google-async"), _matrix("pydantic-ai"), _matrix("llama-index-async")])
def test_every_event_loop(target: Target, provider: FakeProvider) -> None:
    with Rig(target, provider) as rig, recorded() as records:
        ask, call = rig.ask(), target.calls[0]
        client = rig.client(ask)
        llmtrace.instrument(target.given(client))
        for _ in range(3):
            asyncio.run(call.run(client, ask))
        rig.do(call, client, ask)
        outcomes = [record.outcome for record in records.settled()]
        # an SDK that meets the pool of a loop that is gone fails once and tries again
        assert (outcomes.count("complete"), len(outcomes)) == (4, rig.tried(ask))
        assert set(outcomes) <= {"complete", "upstream_error"}
    del client
    gc.collect()  # here, where its warnings are expected


@pytest.mark.parametrize("target", [_matrix("huggingface")])
def test_the_hubs_next_client(target: Target, provider: FakeProvider) -> None:
    utils: Any = pytest.importorskip("huggingface_hub.utils", exc_type=ImportError)
    with Rig(target, provider) as rig, recorded() as records:
        ask, call = rig.ask(), target.calls[0]
        client = rig.client(ask)
        llmtrace.instrument(client)
        rig.do(call, client, ask)
        utils.close_session()  # as a fork does, too
        rig.do(call, client, ask)
        own = [record for record in records.settled() if record.path.startswith(f"/{ask.place}/")]
        assert len(own) == 2
        llmtrace.uninstrument(client)
        utils.close_session()
        records.clear()
        rig.do(call, client, ask)
        assert not records.settled()


@pytest.mark.parametrize("target", [_core("google-async"), _matrix("huggingface-async")])
def test_its_own_settings_reach_later_clients(target: Target, provider: FakeProvider) -> None:
    with Rig(target, provider) as rig, recorded() as records:
        ask, call = rig.ask(), target.calls[0]
        client = rig.client(ask)
        llmtrace.instrument(client)
        llmtrace.instrument(client, config={"security_analysis": {"detectors": ["jailbreak"]}})
        llmtrace.instrument(client)
        rig.do(call, client, ask)
        [record] = [record for record in records.settled() if record.path.startswith(f"/{ask.place}/")]
        assert record.detectors == ("jailbreak",)
        assert not record.findings
