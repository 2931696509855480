"""Shell-style patterns (`*`, `?`, `[a-z]`, `[!a-z]`) for names: case-sensitive, no backtracking between parts."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import groupby

_TOKENS = re.compile(r"\*+|\?|\[!?+\]?+[^\]]*+\]|.", re.DOTALL)


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression for `fullmatch`. Time is bounded by its length times that of the name.

    Means what `fnmatch.fnmatchcase` makes of it, which is not to be had in the core. Never raises.
    """
    tokens = _TOKENS.findall(pattern)
    parts = ["".join(map(_expression, run)) for star, run in groupby(tokens, _is_star) if not star]
    if not any(map(_is_star, tokens)):
        return re.compile("".join(parts), re.DOTALL)
    first = "" if _is_star(tokens[0]) else parts.pop(0)
    last = "" if _is_star(tokens[-1]) else parts.pop()
    # the first place where a part stands is as good as any other, so what lies before it is not tried again
    between = "".join(f"(?>.*?{part})" for part in parts)
    return re.compile(f"{first}{between}.*{last}", re.DOTALL)


def _is_star(token: str) -> bool:
    return token.startswith("*")


def _expression(piece: str) -> str:
    if piece == "?":
        return "."
    if len(piece) == 1:
        return re.escape(piece)
    return _set(piece[1:-1])


def _set(inner: str) -> str:
    negated = inner.startswith("!")
    members = "".join(_members(inner.removeprefix("!")))
    if not members:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{members}]"


def _members(inner: str) -> list[str]:
    found, at = [], 0
    while at < len(inner):
        low, high = inner[at], inner[at]
        if inner[at + 1 : at + 2] == "-" and at + 2 < len(inner):
            high = inner[at + 2]
            at += 2
        if low <= high:
            found.append(re.escape(low) if low == high else f"{_escaped(low)}-{_escaped(high)}")
        at += 1
    return found


def _escaped(sign: str) -> str:
    return "\\" + sign if sign in "\\]^-[&~|" else sign
