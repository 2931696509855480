"""Trainings without a part of what the model that ships was trained on, to see how it does on what it has not seen.

Each is a task for a process of its own, which reads the rows again and hands back scores.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from tools.evaluate.data import by_source
from tools.evaluate.scoring import scores, with_weights
from tools.train import __main__ as shipping
from tools.train import heads, plant, recipe
from tools.train.rows import DEVELOPMENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.scan import Engine
    from tools.train.rows import Row

MOST: Final = 800
"""How many texts of one of our own folders are scored."""

BLOCK: Final = 20
"""Rows that stay together when the rows of a source are parted: neighbours are alike."""

CONTEXTS, ATTACKS = "bipia_ctx_train", "bipia_atk_train"


class Scores(NamedTuple):
    """Scores of benign texts, and of those that are asked about, by their source."""

    benign: list[float]
    asked: dict[str, list[float]]


def direct(folder: str, without: frozenset[str], label: int) -> Scores:
    """Train the direct head without some sources; score their rows of one label, and the held-out benign texts."""
    own, public = _rows(folder)
    kept = [row for row in own if row.source not in without]
    engine = _engine("user", recipe.direct(kept, public, without))
    left = [row for row in (*own, *public) if row.source in without and row.label == label and row.channel == "user"]
    asked = by_source(_one_of_each(left))
    held = [row.text for row in public if row.source in DEVELOPMENT and not row.label]
    return Scores(
        scores(engine, held, "user"), {source: scores(engine, texts, "user") for source, texts in asked.items()}
    )


def documents(folder: str, part: int | None) -> Scores:
    """Train the data head without one half of the attacks and documents, or without all of them; score what was left.

    Benign are the documents as they are, asked about the same documents with one attack in each.
    """
    own, public = _rows(folder)
    left = [row for name in (CONTEXTS, ATTACKS) for row in _part([r for r in public if r.source == name], part)]
    gone = {id(row) for row in left}
    engine = _engine("data", recipe.untrusted(own, [row for row in public if id(row) not in gone]))
    contexts, attacks = ([row for row in left if row.source == name] for name in (CONTEXTS, ATTACKS))
    made = list(plant.in_documents(contexts, attacks, (), 2, Random(recipe.SEED)))
    clean, planted = (scores(engine, [row.text for row in made if row.label == label], "data") for label in (0, 1))
    return Scores(clean, {"planted": planted})


def _engine(head: str, rows: Sequence[Row]) -> Engine:
    return with_weights(heads.train({head: rows}), head, shipping.RULE_WEIGHTS[head], shipping.RUNS)


@cache
def _rows(folder: str) -> tuple[list[Row], list[Row]]:
    return recipe.own_corpus(shipping.CORPUS), recipe.public(Path(folder))


def _one_of_each(rows: Sequence[Row]) -> list[Row]:
    """Texts that were made from one template are nearly the same: one of them is enough."""
    seen: dict[tuple[str, str], Row] = {}
    for number, row in enumerate(rows):
        seen.setdefault((row.source, row.template or str(number)), row)
    kept = list(seen.values())
    templated = [row for row in kept if row.template]
    if len(templated) > MOST:
        kept = [row for row in kept if not row.template] + Random(recipe.SEED).sample(templated, MOST)
    return kept


def _part(rows: Sequence[Row], part: int | None) -> list[Row]:
    return [row for number, row in enumerate(rows) if part is None or number // BLOCK % 2 == part]
