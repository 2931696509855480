"""The classifier's weights: one file, checked against its SHA-256 before it is used, made by `tools/train`.

Layout: `MAGIC`, the length of a JSON header (32 bits, little endian), the header, and a zlib stream of: the words, one
a line, in the order of their numbers; the word pairs, as two 16-bit word numbers each, little endian; for each head,
in the order of the header, one signed byte a feature (the unknown word, words, pairs).
"""

from __future__ import annotations

import hashlib
import struct
import sys
import zlib
from array import array
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from math import isfinite
from typing import Annotated, Final

import msgspec

from llmtrace_sdk.core.classify import Head, Model
from llmtrace_sdk.core.fusion import Curve, Fusion, HeadFusion

MAGIC: Final = b"LTM1"
FILE: Final = "models/injection.bin"
SHA256: Final = "3a56082e0e12ce4d5fe986cfc373c23044aa145fb95a1c50eb245adb393900ec"

_NEXT_STEP: Final = "reinstall llmtrace-sdk"


class _HeadHeader(msgspec.Struct, forbid_unknown_fields=True):
    scale: Annotated[float, msgspec.Meta(gt=0)]
    bias: float
    block: Annotated[int, msgspec.Meta(gt=0)]
    contrast: float
    rule_weight: float
    points: Annotated[tuple[tuple[float, float], ...], msgspec.Meta(min_length=2)]

    def __post_init__(self) -> None:
        if not all(map(isfinite, (self.scale, self.bias, self.contrast, self.rule_weight))):
            raise ValueError("a number is not finite")
        flat = [0.0, *(score for _, score in self.points), 1.0]
        if not all(a < b for a, b in pairwise(flat)) or not all(a < b for (a, _), (b, _) in pairwise(self.points)):
            raise ValueError("the points of a curve do not rise")


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    heads: Annotated[dict[str, _HeadHeader], msgspec.Meta(min_length=1)]
    sizes: list[Annotated[int, msgspec.Meta(ge=0)]]


@lru_cache(maxsize=1)
def injection() -> Fusion:
    """The injection model that ships. Raises `ValueError` when the file is not the one that was released."""
    packed = files("llmtrace_sdk.data").joinpath(FILE).read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256:
        raise ValueError(f"{FILE}: SHA-256 is {found}, not {SHA256}; {_NEXT_STEP}")
    return parse(packed)


def parse(packed: bytes) -> Fusion:
    """Read a model file. Raises `ValueError` for anything else."""
    if packed[:4] != MAGIC:
        raise ValueError(f"not a model file: it does not begin with LTM1; {_NEXT_STEP}")
    try:
        (length,) = struct.unpack_from("<I", packed, 4)
        header = msgspec.json.decode(packed[8 : 8 + length], type=_Header)
        return _fusion(header, _parts(zlib.decompress(packed[8 + length :]), header))
    except (ValueError, OverflowError, struct.error, zlib.error) as error:  # msgspec's errors are ValueErrors
        raise ValueError(f"damaged model file: {error}; {_NEXT_STEP}") from None


def _parts(body: bytes, header: _Header) -> list[bytes]:
    sizes = header.sizes
    if len(sizes) != 2 + len(header.heads) or sum(sizes) != len(body):
        raise ValueError("the sizes of its parts do not fit")
    ends = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
    return [body[a:b] for a, b in pairwise(ends)]


def _fusion(header: _Header, parts: list[bytes]) -> Fusion:
    words = {word: number for number, word in enumerate(parts[0].decode().split("\n"), 1)}
    runs = _runs(parts[1], len(words))
    size = 1 + len(words) + len(runs)
    if len(words) != parts[0].count(b"\n") + 1 or any(len(part) != size for part in parts[2:]):
        raise ValueError("the numbers of its words, pairs and weights do not fit")
    heads: dict[str, Head] = {}
    fusions: dict[str, HeadFusion] = {}
    for (name, about), weights in zip(header.heads.items(), parts[2:], strict=True):
        heads[name] = Head(array("b", weights), about.scale, about.bias, about.block, about.contrast)
        fusions[name] = HeadFusion(about.rule_weight, Curve(about.points))
    return Fusion(Model(words, runs, heads), fusions)


def _runs(part: bytes, words: int) -> dict[tuple[int, int], int]:
    flat = array("H", part)
    if sys.byteorder == "big":
        flat.byteswap()
    if len(flat) % 2 or any(not 0 < number <= words for number in flat):
        raise ValueError("a pair is not of its words")
    numbers = iter(flat)
    runs = {pair: number for number, pair in enumerate(zip(numbers, numbers, strict=True), words + 1)}
    if 2 * len(runs) != len(flat):
        raise ValueError("a pair is there twice")
    return runs
