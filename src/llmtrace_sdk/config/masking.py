"""What may be shown of a value: nothing of keys, tokens and passwords, not even where somebody put one by mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from llmtrace_sdk.core.masking import encodable, without_keys

MASK: Final = "***"
SHOWN_CHARS: Final = 60
_SECRET_WORDS: Final = frozenset("key keys token tokens password passwd secret secrets credential credentials".split())
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_USERINFO: Final = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY: Final = re.compile(r"(?<==)[^&#\s]+")


def masked(key: str, value: Any) -> Any:
    """The value of a key as plain JSON values, without secrets: by the key's name, and by what the text looks like."""
    if is_dataclass(value):
        return {field.name: masked(field.name, getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): masked(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(key, item) for item in value]
    if isinstance(value, str):
        return _masked_text(key, value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def in_sentence(key: str, value: Any) -> str:
    """A short form for a sentence about what is wrong: texts quoted and cut, containers only named."""
    if isinstance(value, Mapping) or is_dataclass(value):
        return "a mapping"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    text = json.dumps(masked(key, value), ensure_ascii=False)
    if isinstance(value, str):
        text = f"'{text[1:-1]}'"
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def without_values(sentence: str) -> str:
    """A sentence without what stands in it in quotes or looks like a key; it may be what was given."""
    return without_keys(encodable(_QUOTED.sub("(...)", sentence)))


def _masked_text(key: str, text: str) -> str:
    text = encodable(text)
    words = key.lower().split("_")
    if words[-1] == "env":  # the name of a variable, unless somebody gave the secret itself
        return text if _VARIABLE.fullmatch(text) else MASK
    if text and not _SECRET_WORDS.isdisjoint(words):
        return MASK
    if "://" in text:
        address, mark, query = _USERINFO.sub(f"{MASK}@", text).partition("?")
        text = address + mark + _QUERY.sub(MASK, query)
    return without_keys(text)
