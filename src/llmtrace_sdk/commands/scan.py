"""`llmtrace scan`: the detectors on the command line."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import msgspec

from llmtrace_sdk.scanning import CHANNELS, ScanResult, scan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    from llmtrace_sdk.core.model import Channel, Finding


class Row(msgspec.Struct):
    """One line of input."""

    id: str | int
    text: str
    channel: str = "user"


def one(text: str, channel: Channel, *, as_json: bool) -> int:
    """Scan one text and print what was found; returns 1 when it is flagged."""
    result = scan(text, channel=channel)
    if as_json:
        print(msgspec.json.encode(_facts(result)).decode())
        return int(result.flagged)
    for line in _lines(result.findings):
        print(line)
    print(f"{'flagged' if result.flagged else 'not flagged'}, injection score {result.score:.2f}")
    return int(result.flagged)


def rows(source: Iterable[bytes], target: BinaryIO) -> int:
    """Scan JSON lines; a line that cannot be read gives a line with `error` and its number, and exit status 1."""
    scan("warm up", channel="user")  # or the first row's time would be that of reading rules and model
    status = 0
    for number, line in enumerate(source, 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=Row)
            answer = _scan_row(row)
        except (msgspec.DecodeError, ValueError) as error:
            answer = {"line": number, "error": str(error)}
            status = 1
        target.write(msgspec.json.encode(answer) + b"\n")
        target.flush()
    return status


def _scan_row(row: Row) -> dict[str, Any]:
    if row.channel not in CHANNELS:
        raise ValueError(f"unknown channel {row.channel!r}; use one of {', '.join(CHANNELS)}")
    began = perf_counter_ns()
    result = scan(row.text, channel=row.channel)
    return {"id": row.id, **_facts(result), "us": (perf_counter_ns() - began) / 1000}


def _facts(result: ScanResult) -> dict[str, Any]:
    return {
        "score": result.score,
        "flagged": result.flagged,
        "findings": [
            {
                "type": finding.type,
                "rule": finding.rule,
                "severity": finding.severity.label,
                "confidence": finding.confidence,
                "start": finding.start,
                "end": finding.end,
            }
            for finding in result.findings
        ],
    }


def _lines(findings: Iterable[Finding]) -> list[str]:
    return [
        f"{f.type:<18} {f.severity.label:<8} {f.confidence:.2f}  characters {f.start}-{f.end}  rule {f.rule}"
        for f in findings
    ]
