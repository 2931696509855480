"""Rows -> fitted heads over one vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from llmtrace_sdk.core.text import fold
from llmtrace_sdk.core.words import tokens
from tools.train.features import Vocabulary, Windows, windows
from tools.train.fit import Weights, fit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.train.rows import Row


class Shape(NamedTuple):
    """How a head reads: words a block, what it takes off for the rest of the text, and how closely it is fitted."""

    block: int
    contrast: float
    strength: float


SHAPES: Final = {"user": Shape(50, 0.0, 0.02), "data": Shape(12, 0.5, 0.3)}
LEAST: Final = 2


class Trained(NamedTuple):
    """The vocabulary of all heads, and the weights of each."""

    vocabulary: Vocabulary
    weights: dict[str, Weights]


def train(rows: Mapping[str, Sequence[Row]]) -> Trained:
    """Fit one head for each list of rows. In a text of many windows only those with the attack in them are attacks."""
    cuts = {head: windows((row.text for row in given), SHAPES[head].block) for head, given in rows.items()}
    vocabulary = Vocabulary(list(cuts.values()), LEAST)
    trained = Trained(vocabulary, {})
    for head, given in rows.items():
        cut, shape = cuts[head], SHAPES[head]
        labels = np.array([row.label for row in given])[cut.owners]
        importance = np.array([row.weight for row in given])[cut.owners] * _relevant(given, cut)
        trained.weights[head] = fit(vocabulary.matrix(cut), labels, importance, shape.strength)
    return trained


def _relevant(rows: Sequence[Row], cut: Windows) -> np.ndarray:
    """0 for the windows of a text that the attack planted in it does not reach, 1 for all others."""
    relevant = np.ones(len(cut.blocks))
    for number, row in enumerate(rows):
        if row.planted is not None and (cut.owners == number).sum() > 1:
            start, end = row.planted
            first = len(tokens(fold(row.text[:start]).text))
            last = first + len(tokens(fold(row.text[start:end]).text))
            relevant[(cut.owners == number) & ~cut.touched(number, first, last)] = 0
    return relevant


def scores(trained: Trained, head: str, texts: Sequence[str]) -> np.ndarray:
    """The score of each text, before it is rounded to what ships."""
    shape = SHAPES[head]
    cut = windows(texts, shape.block)
    passages = trained.weights[head].scores(trained.vocabulary.matrix(cut))
    most = np.full(len(texts), -np.inf)
    np.maximum.at(most, cut.owners, passages)
    count = np.bincount(cut.owners, minlength=len(texts))
    total = np.bincount(cut.owners, weights=passages, minlength=len(texts))
    rest = (total - most) / np.maximum(count - 1, 1)
    scored: np.ndarray = np.where(count > 1, most - shape.contrast * rest, most)
    return scored
