"""What English looks like: frequent words, and how rare a pair of letters is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# For each letter (first row: the start of a word) how rare the next one is (first column: the end of the word), in half
# bits from a to z. Counted in this project's own English prose.
_RARITY: Final = """
zgkjkljmkhqpkjkikqkifnoivkw
gvljkyolvjzlikfzlyhhgnlqtjv
khpvvdzzwjmzhuzfzzinqiwzzhz
kgxmwgzzfkzijuzfwzkphkvzznz
cjrvmfroziwsoqqhuzlkvnqvzmz
djrljknptpzrkmhqmrghksmomoz
ejzvzijxzgyylzwezzhskkzyzrz
diwzyfxnhhzzmrlivzikqjzzzqw
gftztcyzzhzzvuvgzzmslpzxyoz
hnpikkllzwznjleinykgfvkzqzs
pioxxeuxsknqsxxensxhxexuxxx
dovzrdrqzhyxpriruzthvpyrzrz
fhusifoyzgzogpvhoztkmlqqzjz
fglwtevwzizzqkqhiztmrlxzziz
elwkghohwlunnvoirztihnpzznz
gponloiovnvnkjfklzgljfmjssz
ggvupfsuljzxfrxhjzgljjzwtnz
isuxxxxxxxxumxxxxxrumaqsxxx
eiroketovhznpmmhrzmiklpszkz
cjxmsgvzjjzloqpjmvujglwlzpz
djvqwgwyeizzqtuhszkknnznynz
fmmlmislzmzyhjhqjzfggzzzxqw
lizzzbzzzgzzxwyjxzzrzwzzztz
ghxzvgyzefzzrzkgzzimyzzzztz
ehsiwjwzokzwwszsfztwduzzqpz
crqrvkywyqzzqpqdnztjlzzrzyz
fhrrudruuiuukruiuuupulrrpjh
"""
_COST: Final[dict[str, int]] = {
    chr(96 + first) + chr(96 + second): ord(level) - 97
    for first, row in enumerate(_RARITY.split())
    for second, level in enumerate(row)
}

COMMANDS: Final = frozenset(
    """
    above administrator answer anything assistant bypass command confidential configuration content context
    credentials data delete developer disable disregard directive directives document email execute file filter
    filters follow forget guideline guidelines hidden ignore ignored ignoring ignores instruction instructions
    instead internal jailbreak key limits message messages mode model moderation obey order orders output override
    overwrite password passwords policies policy pretend previous prior prompt prompts provided reply repeat request
    respond response restrictions restriction reveal role rule rules safety secret secrets security send show system
    tell token unrestricted user without write admin
    """.split()
)
"""Words of those who give orders to a model."""

WORDS: Final = COMMANDS.union(
    """
    a able about across act action add after again against ago air all allow almost along already also although
    always am american among amount an and another any are area around art as ask asked at available away back bad
    bank be became because become been before began begin being believe below best better between big black blue
    body book both box boy bring build business but buy by call called came can cannot car care case cat cause
    center certain change child children choose city class clean clear close code cold color come common company
    complete computer consider contain continue control copy cost could country course create current cut dark date
    day days dear decide deep describe did different do does dog doing done door down draw during each early earth
    easy eat end english enough enter even event ever every everyone everything example explain eye face fact family
    far fast father few field find fire first five following food for form found four fox free friend friends from
    full function game gave get girl give given go going good got government great green group grow had half hand
    happen happy hard has have he head hear heart hello help her here high him his history hold home hope hot hour
    house how however human hundred idea if important in include information into is island issue it its job just
    keep kind know known language large last late later lazy lead learn leave left less let letter level life light
    like line list listen little live long longer look love low made mail main make man many may me mean meet men
    might mind minute money month moon more morning most mother mountain move much music must my name nation near
    necessary need never new news next night no not note nothing now number of off often old on once one only open
    or other our out over own page paper part party pass past pay people perhaps person place plan plant play please
    point poor possible power present print private probably problem program public put question quick quickly rain
    read real really reason red remember rest right river road room run said same saw say school science sea second
    see seem sell sentence service set several she short should side simple since sit six small snow so some
    something soon sound south speak special stand start state stay step still stop story street strong student
    study such summer sun sure table take talk teach ten test text than thank that the their them then there these
    they thing things think this those though thought three through time times to today together told tomorrow too
    took top town translate travel tree true try turn two under understand university until up upon us use used
    using value very voice wait walk wall want war warm was watch water way we week well went were what when where
    which while white who whole why will wind window winter wish with woman women wonder word words work world would
    wrong year years yellow yes yet you young your yours yourself account address anyone api attack attacker base
    bomb build chat completely conversation customer database directly dump encode encoded decode exactly execute
    exfiltrate freely full happily harmful immediately initial kindly key leak link login name net original payload
    phone post private proceed raw script server session simply source spell steal stop string task tool tools
    training upload url verbatim website weapon
    """.split()
)
"""Frequent words, and `COMMANDS`."""

WORD: Final = re.compile("[A-Za-z]+")
_KNOWN: Final = 12
_LEAST_GAIN: Final = 24
_LEAST_AHEAD: Final = 36
_LONGEST: Final = 40
_AROUND: Final = 4096
_MOST_READ: Final = 128 << 10

Span = tuple[int, int]


def cost(word: str) -> int:
    """How unlike English a word in lower case ASCII letters is, in half bits; known words get a bonus."""
    padded = f"`{word}`"
    total = sum(_COST[padded[place : place + 2]] for place in range(len(padded) - 1))
    return total - _KNOWN if word in WORDS and len(word) > 1 else total


def better_read(text: str, decode: Callable[[str], str], places: Iterable[int]) -> Iterator[Span]:
    """Where words are more like English if decoded, near some places (in order); linear.

    A part ends where plain words have cost it too much. It holds two known words at least, or one that is long.
    """
    gains: dict[str, tuple[int, int]] = {}
    room = _MOST_READ
    for start, end in _windows(text, places):
        yield from _parts(text, start, min(end, start + room), decode, gains)
        room -= end - start
        if room <= 0:
            return


def _windows(text: str, places: Iterable[int]) -> Iterator[Span]:
    """Surroundings of the places, those that overlap as one."""
    start = end = -1
    for place in places:
        first, last = max(0, place - _AROUND), min(len(text), place + _AROUND)
        if first > end:
            if end > start:
                yield start, end
            start = first
        end = last
    if end > start:
        yield max(start, 0), end


def _parts(
    text: str, first: int, last: int, decode: Callable[[str], str], gains: dict[str, tuple[int, int]]
) -> Iterator[Span]:
    start = end = best = total = known = known_best = 0
    for match in WORD.finditer(text, first, last):
        word = match[0].lower()
        if word not in gains:
            gains[word] = _gain(word, decode)
        gain, weight = gains[word]
        if total == 0:
            start, known = match.start(), 0
        total += gain
        known += weight
        if total > best:
            best, end, known_best = total, match.end(), known
        if total <= 0 or total < best - _LEAST_AHEAD:
            if best >= _LEAST_GAIN and known_best > 1:
                yield start, end
            best = total = 0
    if best >= _LEAST_GAIN and known_best > 1:
        yield start, end


def _gain(word: str, decode: Callable[[str], str]) -> tuple[int, int]:
    """How much more like English a word is if decoded, and how much it tells if it is known then."""
    if len(word) > _LONGEST:
        return -_LEAST_AHEAD, 0
    decoded = decode(word)
    gain = min(max(cost(word) - cost(decoded), -_LEAST_AHEAD), _LEAST_AHEAD)
    return gain, 2 if decoded in COMMANDS and len(word) > 5 else int(decoded in WORDS and len(word) > 1)


def known_share(text: str) -> float:
    """How much of a text's letters is in frequent words of two letters or more; 0 if it has none."""
    words = WORD.findall(text.lower())
    letters = sum(map(len, words))
    return sum(len(word) for word in words if len(word) > 1 and word in WORDS) / letters if letters else 0.0
