"""`python -m tools.evaluate`: every figure that is held against a target, from the rows in `LLMTRACE_DATA`.

Nothing of the rows is printed or kept; aggregated figures go to `tools/evaluate/results.json`.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Final

from llmtrace_sdk.data import model
from tools.evaluate import data, direct, left_out, sensitive
from tools.evaluate.report import Report
from tools.evaluate.scoring import scores, shipped
from tools.train import __main__ as shipping

RESULTS: Final = Path(__file__).parent / "results.json"


def main() -> int:
    """Measure and print; returns 2 without data."""
    folder = os.environ.get("LLMTRACE_DATA")
    if not folder:
        sys.stderr.write("LLMTRACE_DATA is not set: it names the folder of prompts_train.jsonl.gz and the other rows\n")
        return 2
    try:
        rows = data.load(Path(folder))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"LLMTRACE_DATA: {error}\n")
        return 2
    began = time.perf_counter()
    report = Report()
    measure(report, rows, folder)
    report.section("run", "This run")
    report.note(f"model {model.SHA256[:12]}, Python {platform.python_version()}")
    report.write(RESULTS)
    report.summary(time.perf_counter() - began)
    return 0


def measure(report: Report, rows: data.Data, folder: str) -> None:
    """All sections; the trainings run beside those of the model that ships."""
    own = sorted(path.name for path in shipping.CORPUS.iterdir() if path.is_dir())
    with left_out.pool() as pool:
        trainings = left_out.begin(pool, folder, own)
        try:
            engine = shipped()
            held = {source: scores(engine, texts, "user") for source, texts in rows.held_out.items()}
            direct.attacks(report, engine, rows, held)
            direct.encoded(report, engine, rows)
            direct.false_alarms(report, engine, rows, held)
            sensitive.personal(report, Path(folder) / "presidio_synth.json")
            sensitive.secrets(report, rows)
            left_out.attacks(report, trainings)
            left_out.authors(report, trainings)
            left_out.benign(report, trainings)
            left_out.documents(report, trainings)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


if __name__ == "__main__":
    sys.exit(main())
