"""Writes the tables of docs/coverage.md from the code: `python -m tools.coverage_docs` (`--check` only compares)."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmtrace_sdk import coverage
from llmtrace_sdk.typing import UNDECLARED_ROW, UNKNOWN_ROW

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmtrace_sdk.coverage import Cell

FILE: Final = Path(__file__).parents[1] / "docs" / "coverage.md"
_NOTHING: Final = "no text"


def text(document: str) -> str:
    """The document with its tables made anew; raises `ValueError` where a marker is missing."""
    for name, lines in (("rows", _rows()), ("detectors", _detectors())):
        begin, end = f"<!-- {name}: made by tools.coverage_docs -->", f"<!-- end of {name} -->"
        if begin not in document or end not in document:
            raise ValueError(f"the marker of {name} is missing")
        before, _, rest = document.partition(begin)
        table = "\n".join(lines)
        document = f"{before}{begin}\n\n{table}\n\n{end}{rest.partition(end)[2]}"
    return document


def _rows() -> Iterator[str]:
    yield "| row | framing | requests | answers | notes |\n|---|---|---|---|---|"
    for row in coverage.rows():
        requests, answers = _requests(row.requests), _answers(row.answers)
        yield f"| `{row.id}` | {row.framing} | {requests} | {answers} | {row.notes} |"
    yield f"| `{UNDECLARED_ROW}` | | not told | not told | a wire format of others, or an answer nobody asked for |"
    yield f"| `{UNKNOWN_ROW}` | | not scanned | not scanned | nobody knows the wire format |"


def _requests(cells: Iterable[Cell]) -> str:
    """`user: text; system: text, tool_definition: **block, redact**`."""
    groups = []
    for enforcement, members in groupby(cells, key=lambda cell: cell.enforcement):
        texts = [
            f"{channel}: {', '.join(cell.kind for cell in those)}"
            for channel, those in groupby(members, key=lambda cell: cell.channel)
        ]
        groups.append(f"{'; '.join(texts)}<br>**{_scanned(enforcement)}**")
    return "<br>".join(groups) or _NOTHING


def _answers(cells: Iterable[Cell]) -> str:
    ordered = sorted(cells, key=lambda cell: cell.enforcement)
    groups = [
        f"{', '.join(cell.kind for cell in members)}<br>**{enforcement}**"
        for enforcement, members in groupby(ordered, key=lambda cell: cell.enforcement)
    ]
    return "<br>".join(groups) or _NOTHING


def _scanned(enforcement: str) -> str:
    return enforcement if enforcement == "not scanned" else f"scanned: {enforcement}"


def _detectors() -> Iterator[str]:
    yield "| detector | a stream is held for it | it judges when a stream is over |\n|---|---|---|"
    for judge in coverage.judges_of_answers():
        yield f"| `{judge.name}` | {', '.join(judge.holds)} | {', '.join(judge.ends)} |"


def main(arguments: list[str]) -> int:
    """Write the tables; with `--check` tell by the exit status whether they are up to date."""
    document = FILE.read_text("utf-8")
    if "--check" in arguments:
        return 0 if document == text(document) else 1
    FILE.write_text(text(document), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
