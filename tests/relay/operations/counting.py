"""A worker for the tests: counts what it is told on standard input, and says what it knows.

`python -m tests.relay.operations.counting`: one line a command, one line an answer; metrics come as one line of JSON.
"""

from __future__ import annotations

import json
import sys

from llmtrace_relay.metrics import Metrics
from tests.relay.operations.records import call


def main() -> None:
    metrics = Metrics()
    pending = {"now": 0.0}
    metrics.watch("llmtrace_spool_pending", lambda: pending["now"])
    metrics.watch("llmtrace_storage_up", lambda: 1.0)
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        answer = "done"
        if command == "observe":
            for _ in range(int(argument)):
                metrics.observe(call())
        elif command == "active":
            metrics.active.inc(int(argument))
        elif command == "pending":
            pending["now"] = float(argument)
            metrics.refresh()
        elif command == "render":
            answer = metrics.render()[0].decode()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
