"""Keys to the relay: how they are made, told apart from others' keys, and kept.

A key is `llmt_` and 64 hexadecimal digits, 256 random bits. Nothing is kept of it but its SHA-256: of so much chance
nobody finds the rest by trying, so there is no need for a slow hash. Tenants' tokens are made the same way.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

PREFIX: Final = "llmt_"
SHOWN_CHARS: Final = 12
"""How much of a key is kept and shown, so that people can tell theirs apart."""

_KEY: Final = re.compile(r"llmt_[0-9a-f]{64}")
_LIKE_ONE: Final = re.compile(rb"llmt_[0-9A-Fa-f]{8}")


def new_key() -> str:
    """A key that nobody has."""
    return PREFIX + secrets.token_hex(32)


def is_key(text: str) -> bool:
    """Whether a text can be a key to a relay."""
    return _KEY.fullmatch(text) is not None


def has_key(value: bytes) -> bool:
    """Whether there is a key to a relay in the value of a header, or most of one: somebody may have cut it."""
    return _LIKE_ONE.search(value) is not None


def key_hash(key: str) -> str:
    """What is kept of a key: 64 hexadecimal digits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def key_prefix(key: str) -> str:
    """What is shown of a key."""
    return key[:SHOWN_CHARS]
