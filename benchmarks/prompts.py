"""Fresh prose of a given size: a pattern engine is quicker on text that it has seen before, so none is used twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

WORDS = """
account after again answer before begin between bridge brother butter carry certain change city clear colour common
country course cover cross decide differ distance door early earth energy enough example family farmer figure final
follow forest forward garden general gentle govern great ground group harbour history horse hundred idea island
journey judge kitchen knowledge language large leave letter listen little machine market matter measure method minute
money morning mountain music nature never notice number object ocean office often order other paper pattern people
perhaps person picture place plain planet please point possible press problem produce question quick quiet rather
reason record remember river school science season second sentence separate several should simple since special spring
station story street strong sudden summer supply surface system table teacher thousand through together travel under
until usual valley village voice watch water weather whether window winter without wonder write young 12 1987 3.5 Anna
Berlin Tuesday
""".split()


def fresh(size: int, rng: random.Random) -> str:
    """About `size` characters of sentences without sense."""
    parts: list[str] = []
    length = 0
    while length < size:
        sentence = " ".join(rng.choices(WORDS, k=rng.randint(6, 14))).capitalize() + rng.choice(
            [". ", ", ", "? ", ".\n"]
        )
        parts.append(sentence)
        length += len(sentence)
    return "".join(parts)[:size]
