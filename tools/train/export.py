"""Fitted heads -> the file that ships: fewer features, eight bits a weight."""

from __future__ import annotations

import json
import struct
import sys
import zlib
from array import array
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from llmtrace_sdk.data.model import MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tools.train.features import Vocabulary
    from tools.train.fit import Weights

LEVELS: Final = 127
WEAKEST: Final = 0.25
"""The share of words whose weights matter least, which are left out unless a pair needs them."""


class Fitted(NamedTuple):
    """One head with how it reads and how it is joined with rules: see `core.classify` and `core.fusion`."""

    weights: Weights
    block: int
    contrast: float
    rule_weight: float
    points: tuple[tuple[float, float], ...]


def packed(vocabulary: Vocabulary, heads: Mapping[str, Fitted], runs: int) -> bytes:
    """The file's bytes, with the `runs` word pairs of greatest weight and the words that are needed for them."""
    strength = np.stack([np.abs(head.weights.weights) for head in heads.values()]).max(axis=0)
    words, pairs, order = _selection(vocabulary, strength, runs)
    described: dict[str, Any] = {}
    body = ["\n".join(words).encode(), _little_endian(n for pair in pairs for n in pair)]
    for name, head in heads.items():
        chosen = head.weights.weights[order]
        scale = float(np.abs(chosen).max()) / LEVELS
        body.append(np.rint(chosen / scale).astype(np.int8).tobytes())
        described[name] = {"scale": scale, "bias": head.weights.bias, **head._asdict()}
        del described[name]["weights"]
    header = json.dumps({"heads": described, "sizes": [len(part) for part in body]}).encode()
    return MAGIC + struct.pack("<I", len(header)) + header + zlib.compress(b"".join(body), 9)


def _little_endian(numbers: Iterable[int]) -> bytes:
    """16 bits each. Whatever the machine that trains, the same weights make the same file."""
    flat = array("H", numbers)
    if sys.byteorder == "big":
        flat.byteswap()
    return flat.tobytes()


def _selection(
    vocabulary: Vocabulary, strength: np.ndarray, runs: int
) -> tuple[list[str], list[tuple[int, int]], list[int]]:
    """The words and pairs to keep with their new numbers, and the old feature number of each new one."""
    names = {number: word for word, number in vocabulary.words.items()}
    strongest = sorted(vocabulary.runs.items(), key=lambda item: -strength[item[1]])[:runs]
    needed = {number for pair, _ in strongest for number in pair}
    floor = float(np.quantile(strength[1 : len(names) + 1], WEAKEST))
    kept = sorted(number for number in names if number in needed or strength[number] > floor)
    renamed = {old: new for new, old in enumerate(kept, 1)}
    pairs = sorted((renamed[a], renamed[b], old) for (a, b), old in strongest)
    order = [0, *kept, *(old for _, _, old in pairs)]
    return [names[old] for old in kept], [(a, b) for a, b, _ in pairs], order
