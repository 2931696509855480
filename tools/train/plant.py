"""Attacks inside other texts: in ordinary requests (direct head) and in documents (data head)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import msgspec

from tools.train.corpus import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from tools.train.rows import Row

MARK: Final = f"%{{{HERE}}}"
HOLE: Final = "\x00"
SHARE: Final = 0.5
SHORT: Final = 400
CONTEXT_WORDS: Final = 60
_JOINTS: Final = (" ", "\n", "\n\n", ". ")


def in_requests(attacks: Sequence[Row], benign: Sequence[Row], rng: Random) -> Iterator[Row]:
    """Some of the short attacks before, behind or inside a piece of an ordinary request; they count half."""
    for attack in attacks:
        if len(attack.text) < SHORT and rng.random() < SHARE:
            around = rng.choice(benign).text.split(" ")[: rng.randrange(5, CONTEXT_WORDS)]
            at = rng.choice((0, len(around), rng.randrange(len(around) + 1)))
            joint = rng.choice(_JOINTS)
            before, after = " ".join(around[:at]), " ".join(around[at:])
            start = len(before) + len(joint) if before else 0
            yield msgspec.structs.replace(
                attack,
                text=joint.join(filter(None, (before, attack.text, after))),
                weight=attack.weight / 2,
                planted=(start, start + len(attack.text)),
            )


def in_documents(
    carriers: Sequence[Row], instructions: Sequence[Row], harmless: Sequence[Row], times: int, rng: Random
) -> Iterator[Row]:
    """Each document clean, and `times` times with an instruction at one of its marks.

    A document without marks gets them between its sentences or lines. Half of the clean ones have a `harmless` sentence
    in the place of an instruction, so that being out of place is not all there is to see.
    """
    for carrier in carriers:
        marked = carrier.text if MARK in carrier.text else _marked(carrier.text, rng)
        chosen = [rng.choice(harmless)] if harmless and rng.random() < SHARE else []
        yield _planted(carrier, marked, chosen, 0, carrier.weight, rng)
        for _ in range(times):
            yield _planted(carrier, marked, [rng.choice(instructions)], 1, carrier.weight / times, rng)


def _planted(carrier: Row, marked: str, texts: Sequence[Row], label: int, weight: float, rng: Random) -> Row:
    """The document with the text at one of its marks, and without the others."""
    parts = marked.split(MARK)
    at = rng.randrange(1, len(parts))
    planted = "".join(text.text for text in texts)
    if planted and rng.random() < SHARE and '"' in carrier.text and carrier.text.lstrip()[:1] in "{[":
        planted = json.dumps(planted)[1:-1]
    before, after = MARK.join(parts[:at]), MARK.join(parts[at:])
    text = _without_marks(f"{before}{HOLE if planted else MARK}{after}")
    start = max(text.find(HOLE), 0)
    span = (start, start + len(planted)) if label else None
    return msgspec.structs.replace(
        carrier, text=text.replace(HOLE, planted), label=label, weight=weight, planted=span, twin=carrier.text
    )


def _without_marks(text: str) -> str:
    text = re.sub(rf"(?m)^[ \t]*{re.escape(MARK)}[ \t]*(\n|\Z)", "", text)
    text = re.sub(rf" ?{re.escape(MARK)}", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _marked(text: str, rng: Random) -> str:
    ends = [at + 1 for at, sign in enumerate(text[:-1]) if sign == "\n" or (sign in ".!?" and text[at + 1] in " \n")]
    at = rng.choice([0, len(text), *ends])
    return f"{text[:at]}\n{MARK}\n{text[at:]}" if rng.random() < SHARE else f"{text[:at]} {MARK} {text[at:]}"
