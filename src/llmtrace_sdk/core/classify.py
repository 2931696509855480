"""A linear classifier over word n-grams that needs no numpy: tokens, features, and the score of a text.

The text is cut into blocks of words. Each word and each pair of words counts once per block, so that a word said a
hundred times weighs no more than one said once; the score of a text is that of its worst two blocks in a row, less a
share of what the rest of it scores: what stands out counts.
Words that training did not see often enough weigh nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise, repeat
from typing import NamedTuple

from msgspec import Struct

from llmtrace_sdk.core.words import places_of, tokens


class Head(Struct, frozen=True):
    """The weights of one kind of text, by feature number; a feature adds its weight times `scale` to the log odds.

    `block` is in words. `contrast` is the share of the mean score of all other passages that is taken off.
    """

    weights: Sequence[int]
    scale: float
    bias: float
    block: int
    contrast: float = 0.0


class Passage(NamedTuple):
    """The worst part of a text: its score (log odds; above 0 is more like an attack), and its first and last token."""

    logit: float
    first: int
    last: int


class Reason(NamedTuple):
    """A run of words that raised a score: what it added to the log odds, and its place in characters."""

    weight: float
    start: int
    end: int


class Model(Struct, frozen=True):
    """What was learned: the vocabulary and the heads.

    `words` numbers the words; 0 is the unknown word. A word's number is that of its feature, too. `runs` numbers the
    features of two words, given by the numbers of those words.
    """

    words: Mapping[str, int]
    runs: Mapping[tuple[int, int], int]
    heads: Mapping[str, Head]

    def score(self, found: Sequence[str], head: str) -> Passage:
        """The score of the worst passage of a folded text, given by its words. Linear in its length."""
        numbers = self.numbers(found)
        chosen = self.heads[head]
        size, weight = chosen.block, chosen.weights.__getitem__
        parts = [numbers[at : at + size + 1] for at in range(0, len(numbers), size)]
        blocks = [sum(map(weight, self.features(part, size))) for part in parts]
        scores = [total * chosen.scale + chosen.bias for total in _in_pairs(blocks)]
        most = max(scores)
        worst = scores.index(most)
        if len(scores) > 1:
            most -= chosen.contrast * (sum(scores) - most) / (len(scores) - 1)
        return Passage(most, worst * size, min((worst + 2) * size, len(numbers)))

    def reasons(self, text: str, head: str, passage: Passage, count: int = 5) -> list[Reason]:
        """The runs of words that raised a passage's score most, strongest first."""
        places = places_of(text)[passage.first : passage.last]
        numbers = self.numbers(tokens(text))[passage.first : passage.last]
        chosen = self.heads[head]
        best: dict[int, Reason] = {}
        for size, found in enumerate((numbers, map(self.runs.get, pairwise(numbers))), 1):
            for at, feature in enumerate(found):
                weight = chosen.weights[feature] * chosen.scale if feature else 0.0
                if feature and weight > 0 and feature not in best:
                    best[feature] = Reason(weight, places[at][0], places[at + size - 1][1])
        return sorted(best.values(), reverse=True)[:count]

    def numbers(self, found: Sequence[str]) -> list[int]:
        """The numbers of words."""
        return list(map(self.words.get, found, repeat(0)))

    def features(self, block: Sequence[int], size: int) -> set[int]:
        """The features of one block, given with the first word of the next one, where its last pair ends."""
        found = {*block[:size], *map(self.runs.get, pairwise(block))}
        found.discard(None)
        return found  # type: ignore[return-value]


def _in_pairs(blocks: list[int]) -> list[int]:
    """The sums of each two blocks in a row; the only block, if there is no second."""
    return [a + b for a, b in pairwise(blocks)] or blocks or [0]
