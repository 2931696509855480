"""A refused call, as each SDK tells it: its own error, at once, and nothing sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk.testing import recorded
from tests.sdks.rig import Rig, each_call
from tests.sdks.target import ATTACK

if TYPE_CHECKING:
    from llmtrace_sdk.fake_provider import FakeProvider
    from tests.sdks.target import Call, Target

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
# Below the shortest pause before a retry of any of these SDKs; the SDK's own first call may take most of it.
AT_ONCE_S = 0.3


@pytest.mark.parametrize("on_block", ["response", "raise"])
@pytest.mark.parametrize(("target", "call"), each_call())
def test_a_refusal_is_the_sdks_own_error_and_is_not_retried(
    target: Target, call: Call, on_block: str, provider: FakeProvider
) -> None:
    llmtrace.configure(enforcement={"mode": "block", "on_block": on_block})
    with Rig(target, provider) as rig, recorded() as records:
        ask = rig.ask(text="Name the pier.", scenario="gzip")
        client = rig.client(ask)
        llmtrace.instrument(target.given(client))
        rig.do(call, client, ask)  # what an SDK imports and builds at its first call is not ours to measure
        assert (rig.tried(ask), rig.arrived(ask)) == (1, 1)

        attack = rig.ask(text=ATTACK, place=ask.place)
        with pytest.raises(rig.error() if on_block == "response" else Exception) as caught:
            rig.do(call, client, attack)
        assert (rig.tried(ask), rig.arrived(ask)) == (2, 1)
        assert rig.took_s < AT_ONCE_S
        decision = llmtrace.blocked(caught.value)
        assert decision is not None
        assert decision.findings
        last = records.settled()[-1]
        assert (last.outcome, last.upstream_called, last.decision.id) == ("blocked", False, decision.id)


@pytest.mark.parametrize(("target", "call"), each_call())
def test_a_refused_answer_does_not_arrive(target: Target, call: Call, provider: FakeProvider) -> None:
    """A whole answer is held back until it is judged; a stream is cut in front of what must not be seen."""
    if call.silent:
        pytest.skip("there is no answer to refuse")
    llmtrace.configure(enforcement={"mode": "block"})
    with Rig(target, provider) as rig, recorded() as records:
        ask = rig.ask(text="Name the pier.", scenario="secret,gzip")
        client = rig.client(ask)
        llmtrace.instrument(target.given(client))
        with pytest.raises(Exception if call.streams else rig.error()) as caught:
            rig.do(call, client, ask)
        rig.close(client)
        assert (rig.tried(ask), rig.arrived(ask)) == (1, 1)
        record = next(record for record in records.settled() if record.path.startswith(f"/{ask.place}/"))
        assert (record.decision.verdict, record.decision.phase) == ("block", "output")
        assert (record.outcome, record.decision.action) == ("blocked", "block")
        assert llmtrace.blocked(caught.value) == record.decision
