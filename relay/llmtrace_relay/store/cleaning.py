"""Texts that databases and encoders refuse (NUL, lone surrogates) -> texts that they take."""

from __future__ import annotations

from typing import Any, Final

import msgspec

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
DEPTH_LIMIT: Final = 64
INT_LIMIT: Final = (1 << 63) - 1


def clean(text: str) -> str:
    """The text, with U+FFFD for each NUL and each surrogate that is not one of a pair."""
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clean_deep(value: Any, depth: int = DEPTH_LIMIT) -> Any:
    """A value of texts, numbers, lists, mappings and structs, of which each text is clean and each number fits.

    What is deeper than `depth` is left out, and what is of no such type is told as text.
    """
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return max(min(value, INT_LIMIT), -INT_LIMIT)
    if depth <= 0:
        return REPLACEMENT
    if isinstance(value, dict):
        return {clean(str(key)): clean_deep(each, depth - 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        cleaned = [clean_deep(each, depth - 1) for each in value]
        return cleaned if isinstance(value, list) else tuple(cleaned)
    if isinstance(value, msgspec.Struct):
        fields = {name: clean_deep(getattr(value, name), depth - 1) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    return clean(str(value))
