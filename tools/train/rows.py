"""Labelled rows: what the tools read from `LLMTRACE_DATA`. Nothing of it is kept in the repository."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

# Sources that fix and check thresholds; never trained on.
DEVELOPMENT: Final = frozenset({"alpaca_eval", "oasst", "selfinst_user", "mt_bench", "fastchat_dummy"})


class Row(msgspec.Struct, kw_only=True):
    """One text. `label` is 1 for an attack; `weight` says how much it counts in training.

    `planted` is where the attack is in the text, in characters, when it is not the whole of it; `twin` is then
    the text that it was planted in.
    """

    text: str
    label: int
    channel: str = "user"
    source: str = ""
    kind: str = ""
    language: str = "en"
    template: str = ""
    use: str = ""
    id: str | int = ""
    weight: float = 1.0
    planted: tuple[int, int] | None = None
    twin: str = ""


def read(path: Path) -> list[Row]:
    """The rows of a JSON lines file, gzipped or not. Raises `ValueError` naming file and line for a bad row."""
    opener = gzip.open if path.suffix == ".gz" else open
    rows = []
    with opener(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                rows.append(msgspec.json.decode(line, type=Row))
            except msgspec.DecodeError as error:
                raise ValueError(f"{path}, line {number}: {error}") from None
    return rows


def digest(path: Path) -> str:
    """SHA-256 of a file, for the model card."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
