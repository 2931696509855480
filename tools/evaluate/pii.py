"""Precision and recall of the detector of personal data on marked sentences.

`LLMTRACE_DATA=folder python -m tools.evaluate.pii` reads `presidio_synth.json` there: a list of objects with
`full_text` and `spans` (`entity_type`, `start_position`, `end_position`). A finding is right if it overlaps a span of
its kind; a span is found if a finding of its kind overlaps it.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.core.scan import Engine
from llmtrace_sdk.detectors import pii_detected

KINDS: Final = {
    "CREDIT_CARD": ("pii.credit_card",),
    "EMAIL_ADDRESS": ("pii.email",),
    "IBAN_CODE": ("pii.iban",),
    "IP_ADDRESS": ("pii.ip",),
    "PHONE_NUMBER": ("pii.phone",),
    "US_SSN": ("pii.us_ssn",),
}
"""Kinds of span that rules can find -> how the ids of their rules begin."""

Span = tuple[int, int]


def measure(path: Path) -> dict[str, tuple[float, float, int]]:
    """By kind: precision, recall, and how many spans there are. Raises `OSError` and `ValueError` for a bad file."""
    engine = Engine([pii_detected.build()])
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row in json.loads(path.read_text("utf-8")):
        marked, findings = _marked(row), _findings(engine, row["full_text"])
        for kind in KINDS:
            right[kind] += sum(_overlaps(place, marked[kind]) for place in findings[kind])
            found[kind] += len(findings[kind])
            seen[kind] += sum(_overlaps(place, findings[kind]) for place in marked[kind])
            total[kind] += len(marked[kind])
    return {kind: (_share(right[kind], found[kind]), _share(seen[kind], total[kind]), total[kind]) for kind in KINDS}


def _marked(row: dict[str, Any]) -> dict[str, list[Span]]:
    places: dict[str, list[Span]] = {kind: [] for kind in KINDS}
    for span in row["spans"]:
        if span["entity_type"] in places:
            places[span["entity_type"]].append((span["start_position"], span["end_position"]))
    return places


def _findings(engine: Engine, text: str) -> dict[str, list[Span]]:
    report = engine.scan((Segment(text, "user", ""),), "input")
    return {
        kind: [(f.start, f.end) for f in report.findings if f.rule.startswith(prefixes)]
        for kind, prefixes in KINDS.items()
    }


def _overlaps(place: Span, others: list[Span]) -> bool:
    return any(place[0] < end and start < place[1] for start, end in others)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def main() -> int:
    """Print the table. Exit status 2 without data."""
    folder = os.environ.get("LLMTRACE_DATA")
    if not folder:
        sys.stderr.write("LLMTRACE_DATA is not set\n")
        return 2
    for kind, (precision, recall, count) in measure(Path(folder) / "presidio_synth.json").items():
        sys.stdout.write(f"{kind:14} n={count:4} precision={precision:.3f} recall={recall:.3f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
