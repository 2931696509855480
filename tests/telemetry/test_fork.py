"""A Telemetry made and used before a fork works in the child, without an SDK of ours in between."""

from __future__ import annotations

from tests.forking import forked

from .rig import Rig, blocked


def test_spans_metrics_and_events_after_a_fork() -> None:
    rig = Rig()
    rig.tell(blocked())

    def told() -> bool:
        rig.tell(blocked())
        names = [span.name for span in rig.spans()]
        return (len(names), len(set(names)), len(rig.logs())) == (4, 2, 2)

    assert forked(told)()
    assert len(rig.spans()) == 2
