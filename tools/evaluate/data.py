"""The rows that an evaluation reads, and how they are grouped."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tools.train.rows import DEVELOPMENT, Row, read

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Data(NamedTuple):
    """All rows: those that may be trained on, those that may not, and harmful requests that attack no model."""

    train: list[Row]
    dev: list[Row]
    harmful: list[Row]

    @property
    def held_out(self) -> dict[str, list[str]]:
        """By source, the benign texts that are never trained on: they fix thresholds."""
        rows = (row for row in self.train if row.source in DEVELOPMENT and not row.label)
        return by_source(rows)


def load(folder: Path) -> Data:
    """Read the files. Raises `OSError` and `ValueError` naming the one that is missing or bad."""
    names = ("prompts_train", "prompts_dev", "harmful_dev")
    return Data(*(read(folder / f"{name}.jsonl.gz") for name in names))


def by_source(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Texts by the source of their row, in the order of the names."""
    texts: dict[str, list[str]] = {}
    for row in rows:
        texts.setdefault(row.source, []).append(row.text)
    return dict(sorted(texts.items()))
