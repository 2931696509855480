"""`python -m benchmarks.relay [--quick] [--litellm] [--json FILE]`: the relay beside a bare proxy, in one run.

Each server has one worker on a core of its own; the load and the upstream share the other. Times swing with whatever
else the machine does, so quote ratios, and the CPU time per call before calls per second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llmtrace_sdk

from . import contenders, litellm, processes, report, rust
from .rounds import WORKLOADS, Rounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .contenders import Contender
    from .rounds import Workload

ROUNDS = 5
RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.relay", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="two short rounds; keeps no figures unless --json is given"
    )
    parser.add_argument("--rounds", type=int, help=f"how many rounds ({ROUNDS})")
    parser.add_argument("--litellm", action="store_true", help="LiteLLM's proxy as well; installed outside the tree")
    parser.add_argument(
        "--only",
        nargs="+",
        default=contenders.OURS,
        choices=contenders.OURS,
        help="which of ours, beside the bare proxy",
    )
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--workloads", nargs="+", choices=names, default=names)
    parser.add_argument("--json", type=Path, help="where the figures of each round go")
    options = parser.parse_args()
    names = [contenders.BARE, *options.only]
    if options.litellm:
        litellm.install()
        names.append(contenders.LITELLM)
    if rust.is_there():
        names.append(contenders.RUST)
    workloads = [workload for workload in WORKLOADS if workload.name in options.workloads]
    rounds, scale = (2, 0.3) if options.quick else (ROUNDS, 1.0)
    measured = measure(names, workloads, options.rounds or rounds, scale)
    print(report.summary(measured))
    file = options.json or (None if options.quick else RESULTS / f"relay-{time.strftime('%Y-%m-%d')}.json")
    if file:
        keep(file, measured)


def measure(names: list[str], workloads: Sequence[Workload], rounds: int, scale: float) -> dict[str, Rounds]:
    """Every workload on every contender."""
    print(machine())
    measured = {}
    with processes.on_core(processes.LOAD_CORE), contenders.all_of(names) as running:
        for workload in workloads:
            found = Rounds(workload, running, scale)
            found.warm_up()
            for number in range(rounds):
                found.once(number)
            measured[workload.title] = found
            print("\n" + report.table(found), flush=True)
        print(f"\ncalls on record: {on_record(running, measured)}\n")
    return measured


def machine() -> str:
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, llmtrace "
        f"{llmtrace_sdk.__version__}; one worker on core {processes.SERVER_CORE}, load and upstream on core "
        f"{processes.LOAD_CORE}; medians of rounds, microseconds"
    )


def on_record(running: Sequence[Contender], measured: dict[str, Rounds]) -> str:
    """How many calls each relay kept, of those that were made: what was dropped was not paid for."""
    told = []
    for contender in running:
        if contender.name not in contenders.KEEPING:
            continue
        made = sum(rounds.made[contender.name] for rounds in measured.values())
        kept = json.loads(processes.ask(f"{contender.url}/api/v1/stats")[1])["total_spans"]
        told.append(f"{contenders.TITLES[contender.name]}: {kept} of {made}")
    return "; ".join(told) or "none of these keeps any"


def keep(file: Path, measured: dict[str, Rounds]) -> None:
    rows: list[dict[str, Any]] = [
        {"workload": title, "contender": name, "rounds": [row.plain() for row in rows]}
        for title, rounds in measured.items()
        for name, rows in rounds.table.items()
    ]
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"machine": machine(), "rows": rows}) + "\n")
    print(f"\nfigures of each round: {file}")


if __name__ == "__main__":
    main()
