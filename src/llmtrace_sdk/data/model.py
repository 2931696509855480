"""The classifier's weights: one file, checked against its SHA-256 before it is used, made by `tools/train`.

Layout: `MAGIC`, the length of a JSON header (32 bits, little endian), the header, and a zlib stream of: the words, one
a line, in the order of their numbers; the word pairs, as two 16-bit word numbers each; and for each head, in the order
of the header, one signed byte a feature (the unknown word, words, pairs).
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import zlib
from array import array
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Final

from llmtrace_sdk.core.classify import Head, Model
from llmtrace_sdk.core.fusion import Curve, Fusion, HeadFusion

MAGIC: Final = b"LTM1"
FILE: Final = "models/injection.bin"
SHA256: Final = "820627863e5a4033168861fe64f4993c3b7355126a9e7b0e8455b7bdf091aa51"


@lru_cache(maxsize=1)
def injection() -> Fusion:
    """The injection model that ships. Raises `ValueError` when the file is not the one that was released."""
    packed = files("llmtrace_sdk.data").joinpath(FILE).read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256:
        raise ValueError(f"{FILE}: SHA-256 is {found}, not {SHA256}; reinstall llmtrace-sdk")
    return parse(packed)


def parse(packed: bytes) -> Fusion:
    """Read a model file. Raises `ValueError` for anything else."""
    if packed[:4] != MAGIC:
        raise ValueError("not a model file: it does not begin with LTM1")
    try:
        (length,) = struct.unpack_from("<I", packed, 4)
        header = json.loads(packed[8 : 8 + length])
        parts = _parts(zlib.decompress(packed[8 + length :]), header["sizes"])
        return _fusion(header, parts)
    except (KeyError, IndexError, TypeError, struct.error, zlib.error) as error:
        raise ValueError(f"damaged model file: {error!r}") from error


def _parts(body: bytes, sizes: list[int]) -> list[bytes]:
    ends = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
    return [body[a:b] for a, b in pairwise(ends)]


def _fusion(header: dict[str, Any], parts: list[bytes]) -> Fusion:
    words = {word: number for number, word in enumerate(parts[0].decode().split("\n"), 1)}
    flat = array("H", parts[1])
    if sys.byteorder == "big":
        flat.byteswap()
    numbers = iter(flat)
    runs = {pair: number for number, pair in enumerate(zip(numbers, numbers, strict=True), len(words) + 1)}
    heads: dict[str, Head] = {}
    fusions: dict[str, HeadFusion] = {}
    for (name, about), weights in zip(header["heads"].items(), parts[2:], strict=True):
        heads[name] = Head(array("b", weights), about["scale"], about["bias"], about["block"], about["contrast"])
        points = tuple((float(x), float(y)) for x, y in about["points"])
        fusions[name] = HeadFusion(about["rule_weight"], Curve(points))
    return Fusion(Model(words, runs, heads), fusions)
