r"""What a text may end with while a match of a pattern is still on its way, told from the pattern's syntax tree.

The prefixes of `AB` are those of `A`, and `A` with a prefix of `B` behind it: optionals, one inside the other. What
asks for more than the characters before it (`\b`, `\z`) is left out where a prefix ends, for nobody knows what follows.
Patterns are in the syntax that RE2 and Python share, and so is what is made of them, except for `\z` and `\x{...}`.
"""

from __future__ import annotations

import re
import re._parser as syntax  # type: ignore[import-not-found]
from functools import lru_cache
from math import ceil, log2
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from llmtrace_sdk.core.patterns import python_syntax

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.patterns import Rule

ANYTHING: Final = r"[\s\S]*"
"""Stands for the prefixes of a pattern that cannot be read."""

RARE: Final = 16.0
"""How rare the beginning of a match has to be, in bits, to tell whether one is on its way."""

ENOUGH: Final = 5.25
"""As rare as that it has to be where nothing rare follows."""

ROOM: Final = 256
"""How many ways there may be for a match to begin."""

_CHUNK: Final = 48
"""Parts of a sequence that are nested into each other; a longer one is halved, for RE2 limits the depth."""

_SMALL: Final = 8
"""Repeats that are looked at in the beginning of a match."""

_COMMONEST: Final = 64
_LETTER, _SPACE, _OTHER_SIGN = 3.5, 2.0, 6.0

_CATEGORIES: Final = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
_EDGES: Final = {
    "AT_BOUNDARY": r"\b",
    "AT_NON_BOUNDARY": r"\B",
    "AT_BEGINNING": r"\A",
    "AT_BEGINNING_STRING": r"\A",
    "AT_END": r"\z",
    "AT_END_STRING": r"\z",
}
_LINE_EDGES: Final = {"AT_BEGINNING": "(?m:^)", "AT_END": "(?m:$)"}


class Sign(NamedTuple):
    """A character of a class, `low` to `high` times (None: without end); `rarity` is in bits, 0 for common ones."""

    text: str
    low: int
    high: int | None
    rarity: float

    def whole(self) -> str:
        """The pattern itself."""
        return self.text + _times(self.low, self.high)

    def begun(self, rest: str) -> str:
        """Its prefixes, and itself with `rest` behind it."""
        if not rest:
            return self.text + _times(0, self.high)
        if self.low == 0:
            return self.whole() + rest
        if self.low == 1:
            return f"(?:{self.whole()}{rest})?"
        return f"(?:{self.text}{_times(0, self.low - 1)}|{self.whole()}{rest})"


class Edge(NamedTuple):
    """A condition on what is before and behind a place."""

    text: str

    def whole(self) -> str:
        """The pattern itself."""
        return self.text

    def begun(self, rest: str) -> str:
        """Nothing, or the condition with `rest` behind it."""
        return f"(?:{self.text}{rest})?" if rest else ""


class Group(NamedTuple):
    """One of several sequences, `low` to `high` times (None: without end)."""

    choices: tuple[tuple[Part, ...], ...]
    low: int = 1
    high: int | None = 1

    def whole(self) -> str:
        """The pattern itself."""
        return f"(?:{'|'.join(map(whole, self.choices))}){_times(self.low, self.high)}"

    def begun(self, rest: str) -> str:
        """Its prefixes, and itself with `rest` behind it."""
        last = f"(?:{'|'.join(map(begun, self.choices))})"
        if self.high != 1:
            last = self._replace(low=0, high=self.high and self.high - 1).whole() + last
        return f"(?:{last}|{self.whole()}{rest})" if rest else last


Part: TypeAlias = Sign | Edge | Group


def whole(parts: Iterable[Part]) -> str:
    """The pattern of a sequence."""
    return "".join(part.whole() for part in parts)


def begun(parts: Sequence[Part], rest: str = "") -> str:
    """The pattern of a sequence's prefixes, and of the sequence with `rest` behind it."""
    if len(parts) > _CHUNK:
        half = len(parts) // 2
        return f"(?:{begun(parts[:half])}|{whole(parts[:half])}{begun(parts[half:], rest)})"
    for part in reversed(parts):
        rest = part.begun(rest)
    return rest


def head(parts: Sequence[Part], rarity: float = RARE, room: int = ROOM) -> tuple[tuple[Part, ...], float]:
    """What every match of a sequence begins with, and how rare that is; `room` is how many ways there may be."""
    taken: list[Part] = []
    found = 0.0
    for at, part in enumerate(parts):
        if found >= rarity or (isinstance(part, Sign) and not part.rarity and found >= rarity - RARE + ENOUGH):
            break
        if isinstance(part, Group):
            first, gain = _head_of_group(part, parts[at + 1 :], rarity - found, room)
            return (*taken, *first), found + gain
        first, gain, entire = _head_of_sign(part, rarity - found) if isinstance(part, Sign) else ((part,), 0.0, True)
        taken += first
        found += gain
        if not entire:
            break
    return tuple(taken), found


def _head_of_sign(sign: Sign, rarity: float) -> tuple[tuple[Part, ...], float, bool]:
    """What it begins with, how rare that is, and whether it is all of it."""
    few = min(sign.low, ceil(rarity / sign.rarity) if sign.rarity else _SMALL)
    if few == sign.low and sign.high is not None and sign.high <= _SMALL:
        return (sign,), sign.low * sign.rarity, True
    gain = few * sign.rarity
    return (sign._replace(low=few, high=few),) if few else (), gain, few == sign.low == sign.high


def _head_of_group(group: Group, rest: Sequence[Part], rarity: float, room: int) -> tuple[tuple[Part, ...], float]:
    """What a group begins with, and what is behind it where that is told."""
    choices: Sequence[Sequence[Part]] = group.choices if group.low else (*group.choices, ())
    if group.high == 1 and len(choices) <= room:
        choices = [(*choice, *rest) for choice in choices]
    elif group.low == 0:
        return (), 0.0
    heads = [head(choice, rarity, room // len(choices)) for choice in choices]
    return (Group(tuple(parts for parts, _ in heads)),), min(found for _, found in heads)


def _times(low: int, high: int | None) -> str:
    if high is None:
        return {0: "*", 1: "+"}.get(low, f"{{{low},}}")
    if low == high:
        return "" if low == 1 else f"{{{low}}}"
    return "?" if (low, high) == (0, 1) else f"{{{low},{high}}}"


def prefix_pattern(pattern: str) -> str:
    r"""A pattern that matches each prefix of each match of a rule's pattern, the empty one and the match included.

    It is meant for RE2, inside `(?:...)\z`. Some of what it matches may be no prefix; never the other way round.
    """
    parts = parts_of(pattern)
    return ANYTHING if parts is None else begun(parts)


def live_pattern(rule: Rule, *, loose: bool = False) -> str:
    """As `prefix_pattern`, for all that a rule matches: also for a match that its tail goes on with.

    `loose` leaves out how often common characters may be repeated: it matches more, and an automaton of it is small.
    """
    parts, tail = parts_of(rule.pattern), parts_of(rule.tail or "")
    if parts is None:
        return ANYTHING
    if loose:
        parts, tail = loosened(parts), tail and loosened(tail)
    if not rule.tail:
        return begun(parts)
    if tail is None or not _ends_with_group(rule):
        return f"(?:{begun(parts)}|{whole(head(parts)[0])}{ANYTHING})"
    return begun(parts, begun(tail))


def loosened(parts: Sequence[Part]) -> tuple[Part, ...]:
    """A sequence that matches more, without counting how often common characters are repeated."""
    return tuple(map(_loosened_part, parts))


def _loosened_part(part: Part) -> Part:
    if isinstance(part, Sign) and not part.rarity and (part.high is None or part.high > _SMALL):
        return part._replace(low=0, high=None)
    if isinstance(part, Group):
        return part._replace(choices=tuple(map(loosened, part.choices)))
    return part


def reach(rule: Rule) -> int:
    """How many characters a rule's match can extend over, its tail included.

    A tail is measured from where the group begins, and what is before the group comes on top of it.
    """
    if not (rule.tail and rule.group):
        return rule.max_length
    try:
        return rule.max_length + min(int(_tree(rule.pattern).getwidth()[1]), rule.max_length)
    except (re.error, ValueError, RecursionError):
        return 2 * rule.max_length


@lru_cache(maxsize=4096)
def parts_of(pattern: str) -> tuple[Part, ...] | None:
    """A pattern as a sequence of parts; None where it has something in it that RE2 does not know."""
    try:
        tree = _tree(pattern)
        return tuple(_sequence(tree, tree.state.flags))
    except (re.error, ValueError, KeyError, OverflowError, RecursionError):
        return None


def _tree(pattern: str) -> Any:
    return syntax.parse(python_syntax(pattern))


def _ends_with_group(rule: Rule) -> bool:
    """Whether the rule's group ends where the match does, so that the tail is behind both."""
    kind, value = list(_tree(rule.pattern))[-1]
    return rule.group == 0 or (str(kind) == "SUBPATTERN" and value[0] == rule.group)


def _sequence(tree: Iterable[tuple[Any, Any]], flags: int) -> list[Part]:
    return [part for kind, value in tree for part in _element(str(kind), value, flags)]


def _element(kind: str, value: Any, flags: int) -> Sequence[Part]:
    if kind == "AT":
        edges = {**_EDGES, **_LINE_EDGES} if flags & re.MULTILINE else _EDGES
        return (Edge(edges[str(value)]),)
    if kind == "SUBPATTERN":
        return _sequence(value[3], (flags | value[1]) & ~value[2])
    if kind == "BRANCH":
        return (Group(tuple(tuple(_sequence(choice, flags)) for choice in value[1])),)
    if kind in ("MAX_REPEAT", "MIN_REPEAT"):
        return _repeated(value[0], None if value[1] == syntax.MAXREPEAT else int(value[1]), value[2], flags)
    return (_sign(kind, value, flags),)


def _repeated(low: int, high: int | None, tree: Iterable[tuple[Any, Any]], flags: int) -> Sequence[Part]:
    parts = _sequence(tree, flags)
    if high == 0 or not parts:
        return ()
    if low == high == 1:
        return parts
    if len(parts) == 1 and isinstance(parts[0], Sign) and parts[0][1:3] == (1, 1):
        return (parts[0]._replace(low=low, high=high),)
    return (Group((tuple(parts),), low, high),)


def _sign(kind: str, value: Any, flags: int) -> Sign:
    """One character. Raises `ValueError` for what is none."""
    if kind == "ANY":
        return Sign(r"[\s\S]" if flags & re.DOTALL else r"[^\n]", 1, 1, 0.0)
    if kind == "IN":
        text, rarity = _class(value)
    elif kind in ("LITERAL", "NOT_LITERAL"):
        text, rarity = _escaped(value), _rarity(value)
        text, rarity = (text, rarity) if kind == "LITERAL" else (f"[^{text}]", 0.0)
    else:
        raise ValueError(kind)
    cased = flags & re.IGNORECASE and not (kind == "LITERAL" and value < 128 and not chr(value).isalpha())
    return Sign(f"(?i:{text})" if cased else text, 1, 1, rarity)


def _class(items: Iterable[tuple[Any, Any]]) -> tuple[str, float]:
    """A class of characters, and how rare one of them is."""
    text, size, commonest = "", 0, _OTHER_SIGN
    for kind, value in items:
        if str(kind) == "NEGATE":
            text, size = "^", _COMMONEST
        elif str(kind) == "LITERAL":
            text, size, commonest = text + _escaped(value), size + 1, min(commonest, _rarity(value))
        elif str(kind) == "RANGE":
            text += f"{_escaped(value[0])}-{_escaped(value[1])}"
            size += value[1] - value[0] + 1
        else:
            text += _CATEGORIES[str(value)]
            size += 10 if str(value) == "CATEGORY_DIGIT" else _COMMONEST
    rarity = min(commonest, log2(_COMMONEST / max(size, 1)))
    return f"[{text}]", rarity if rarity >= 1 else 0.0


def _escaped(code: int) -> str:
    sign = chr(code)
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError("a surrogate is no character")
    return sign if sign.isascii() and sign.isalnum() else rf"\x{{{code:x}}}"


def _rarity(code: int) -> float:
    sign = chr(code)
    if sign.isspace():
        return _SPACE
    return _LETTER if sign.isascii() and sign.isalpha() else _OTHER_SIGN
