"""Texts -> the same features that the classifier sees at run time, as a sparse matrix."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy import sparse

from llmtrace_sdk.core.classify import Model
from llmtrace_sdk.core.text import fold
from llmtrace_sdk.core.words import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST_WORD: Final = 24


class Windows(NamedTuple):
    """The blocks of words of all windows (two blocks in a row), and the text that each window is of."""

    blocks: list[list[list[str]]]
    owners: np.ndarray
    numbers: np.ndarray
    block: int

    def touched(self, number: int, first: int, last: int) -> np.ndarray:
        """Which windows of a text have some of its words from `first` to `last` (exclusive) in them."""
        begins = self.numbers * self.block
        touched: np.ndarray = (self.owners == number) & (begins < last) & (begins + 2 * self.block > first)
        return touched


def windows(texts: Iterable[str], block: int) -> Windows:
    """Cut texts as the classifier does."""
    cut: list[list[list[str]]] = []
    owners: list[int] = []
    numbers: list[int] = []
    for number, text in enumerate(texts):
        words = tokens(fold(text).text)
        blocks = [words[at : at + block + 1] for at in range(0, max(len(words), 1), block)]
        pairs = [blocks] if len(blocks) <= 2 else [blocks[at : at + 2] for at in range(len(blocks) - 1)]
        cut += pairs
        owners += [number] * len(pairs)
        numbers += range(len(pairs))
    return Windows(cut, np.array(owners), np.array(numbers), block)


class Vocabulary:
    """Numbers for the words and word pairs that occur in at least `least` windows, the words first."""

    def __init__(self, cuts: Sequence[Windows], least: int) -> None:
        words: Counter[str] = Counter()
        for cut in cuts:
            for window in cut.blocks:
                # Each once, in the order of the text: that of a set is another one in every process.
                words.update(dict.fromkeys(word for block in window for word in block[: cut.block]).keys())
        common = (word for word, count in words.most_common() if count >= least and len(word) <= LONGEST_WORD)
        self.words = {word: number for number, word in enumerate(common, 1)}
        pairs: Counter[tuple[int, int]] = Counter()
        for cut in cuts:
            for window in cut.blocks:
                pairs.update({pair for block in window for pair in self._pairs(block)})
        kept = (pair for pair, count in pairs.items() if count >= least)
        self.runs = {pair: number for number, pair in enumerate(kept, len(self.words) + 1)}
        self.model = Model(self.words, self.runs, {})

    @property
    def size(self) -> int:
        """How many features there are, the one of the unknown word included."""
        return 1 + len(self.words) + len(self.runs)

    def matrix(self, cut: Windows) -> sparse.csr_matrix:
        """One row a window; an entry says in how many of its blocks the feature occurs."""
        columns: list[int] = []
        ends = [0]
        for window in cut.blocks:
            for block in window:
                # That a word is unknown says how training texts were chosen, and nothing of attacks.
                columns += self.model.features([self.words.get(word, 0) for word in block], cut.block) - {0}
            ends.append(len(columns))
        data = np.ones(len(columns), np.float32)
        made = sparse.csr_matrix((data, np.array(columns), np.array(ends)), shape=(len(cut.blocks), self.size))
        made.sum_duplicates()
        return made

    def _pairs(self, block: Sequence[str]) -> list[tuple[int, int]]:
        numbers = [self.words.get(word, 0) for word in block]
        return [(a, b) for a, b in pairwise(numbers) if a and b]
