"""No single word makes an attack: what a word adds, said once or twice in a row, has an end.

A word of few training texts may get a weight that condemns whatever it is said in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tools.train.fit import Weights

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOM: Final = 0.2
"""How far below the operating point one word must stay, in log odds: other words stand around it."""


def of_one_word(
    weights: Weights, words: Mapping[str, int], runs: Mapping[tuple[int, int], int], balanced: float
) -> Weights:
    """The same weights, with no word that reaches `balanced` (log odds) alone or together with itself."""
    most = max(0.0, balanced - ROOM - weights.bias)
    limited = weights.weights.copy()
    for number in words.values():
        limited[number] = min(limited[number], most)
        twice = runs.get((number, number))
        if twice is not None:
            limited[twice] = min(limited[twice], most - max(limited[number], 0.0))
    return Weights(limited, weights.bias)
