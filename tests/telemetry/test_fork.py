"""A Telemetry made and used before a fork works in the child, without an SDK of ours in between."""

from __future__ import annotations

import os
import warnings

from .rig import Rig, blocked


def test_spans_metrics_and_events_after_a_fork() -> None:
    rig = Rig()
    rig.tell(blocked())
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python >= 3.12 on forking with threads
        child = os.fork()
    if child == 0:
        status = 1
        try:
            rig.tell(blocked())
            names = [span.name for span in rig.spans()]
            os.write(writing, f"{len(names)} {len(set(names))} {len(rig.logs())}".encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as told:
        assert told.read() == "4 2 2"
    assert os.waitpid(child, 0)[1] == 0
    assert len(rig.spans()) == 2
