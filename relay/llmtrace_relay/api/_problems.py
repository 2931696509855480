"""What is wrong with a request, in words; never what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST: Final = 20
LONGEST_NAME: Final = 60
_PLACES: Final = frozenset({"query", "path", "body", "header", "cookie"})
_WORDS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "json_invalid": "is no JSON",
}


def in_words(errors: Sequence[dict[str, Any]]) -> str:
    """All problems as one line."""
    sentences = list(dict.fromkeys(_sentence(error) for error in errors[:MOST]))
    if len(errors) > MOST:
        sentences.append(f"and {len(errors) - MOST} more")
    return "; ".join(sentences) or "the request cannot be read"


def _sentence(error: dict[str, Any]) -> str:
    return f"{_place(error['loc'], error['type'])}: {_WORDS.get(error['type']) or _tidy(error['msg'])}"


def _place(loc: Iterable[str | int], kind: str) -> str:
    parts = [str(part)[:LONGEST_NAME] for part in loc]
    if kind == "json_invalid":  # what follows is a position in what was sent
        return "body"
    inner = parts[1:] if parts and parts[0] in _PLACES else parts
    name = ".".join(inner) or (parts[0] if parts else "request")
    return "".join(char if char.isprintable() else "?" for char in name)


def _tidy(message: str) -> str:
    text = message.removeprefix("Value error, ")
    for said, ours in (("Input should be", "must be"), ("String should", "must"), ("Input should", "must")):
        text = text.replace(said, ours)
    return text[:1].lower() + text[1:]
