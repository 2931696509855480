"""Fresh, varied texts of a given size, from the project's own corpus of benign texts.

A text has many subjects, more than one that somebody wrote: more rules have words in it that they look for.
"""

from __future__ import annotations

import random
from pathlib import Path

from tools.train import corpus

CORPUS = Path(__file__).parents[1] / "tools" / "train" / "corpus"
EVERYDAY = ("benign_chat", "benign_tasks")
POINTED = ("benign_en",)
TIMES = 2
EXCHANGED = 0.05
"""The share of words that another word of the corpus takes the place of, so that no sentence comes twice."""


class Prose:
    """A source of texts: the same ones, in the same order, for the same seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._everyday = benign(EVERYDAY, self._random)
        self._pointed = benign(POINTED, self._random)
        self._words = sorted({word for text in self._everyday for word in text.split() if word.isalpha()})

    def everyday(self, size: int) -> str:
        """What people ask and paste."""
        return self._text(self._everyday, size)

    def pointed(self, size: int) -> str:
        """Harmless, and full of the words of attacks."""
        return self._text(self._pointed, size)

    def _text(self, texts: list[str], size: int) -> str:
        parts: list[str] = []
        length = 0
        while length < size:
            words = self._random.choice(texts).split(" ")
            for at in range(len(words)):
                if self._random.random() < EXCHANGED:
                    words[at] = self._random.choice(self._words)
            parts.append(" ".join(words))
            length += len(parts[-1]) + 1
        return "\n".join(parts)[:size]


def benign(folders: tuple[str, ...], rng: random.Random) -> list[str]:
    """The English texts of some folders of the corpus."""
    rows = [row for name in folders for row in corpus.expand(CORPUS / name, TIMES, rng)]
    return sorted({row.text for row in rows if not row.label and row.language == "en"})
