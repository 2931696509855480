"""The project's own corpus: TOML files of texts with slots, expanded with a seed.

A file has `label` (1 attack, 0 benign), `channel`, `language`, `[slots]` (name -> choices, which may use slots) and
`[texts]` (group -> texts). `%{slot}` is replaced by a choice; in carriers of the data channel `%{here}` marks places
where an instruction may be planted, and is left for `plant`.
"""

from __future__ import annotations

import re
import tomllib
from random import Random
from typing import TYPE_CHECKING, Final

from tools.train.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

HERE: Final = "here"
DEPTH: Final = 6
_SLOT: Final = re.compile(r"%\{(\w+)\}")

Slots = "Mapping[str, Sequence[str]]"


def expand(folder: Path, times: int, rng: Random) -> Iterator[Row]:
    """Every text of the corpus, those with slots `times` times with other choices (the same text is given once).

    Raises `ValueError` naming the file for a slot that is not defined.
    """
    seed = rng.random()
    for path in sorted(folder.rglob("*.toml")):
        # Of its own, so that a new file leaves the texts of the others as they are.
        rng = Random(f"{seed} {path.relative_to(folder).as_posix()}")
        table = tomllib.loads(path.read_text("utf-8"))
        slots = table.get("slots", {})
        for group, texts in table["texts"].items():
            for number, text in enumerate(texts):
                made = dict.fromkeys(_fill(text, slots, rng, path) for _ in range(times if _SLOT.search(text) else 1))
                for filled in made:
                    yield Row(
                        text=filled,
                        label=table["label"],
                        channel=table["channel"],
                        source=path.parent.name,
                        kind=group,
                        language=table["language"],
                        template=f"{path.stem}/{group}/{number}",
                        weight=len(made) ** -0.5,
                    )


def _fill(text: str, slots: Mapping[str, Sequence[str]], rng: Random, path: Path, depth: int = 0) -> str:
    def choose(found: re.Match[str]) -> str:
        name = found[1]
        if name == HERE:
            return found[0]
        if name not in slots:
            raise ValueError(f"{path}: unknown slot {name!r}")
        if depth == DEPTH:
            raise ValueError(f"{path}: slot {name!r} is nested too deeply")
        return _fill(rng.choice(slots[name]), slots, rng, path, depth + 1)

    return _SLOT.sub(choose, text)
