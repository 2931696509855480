"""Placeholders for what must not be sent, and the way back: reversible pseudonyms that only this process can undo."""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from threading import Lock
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.splice import Edit, applied, escaped

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Finding

_FORM: Final = r"\[[A-Z][A-Z0-9_]{0,39}_[A-Z2-7]{10}\]"
# Bounded and without a bracket inside, so linear.
PLACEHOLDER: Final = re.compile(_FORM.encode())
"""A complete placeholder of any vault, in a body. It is written inside JSON strings as it is."""

LONGEST: Final = 53
"""The most characters a placeholder can have."""

_PLACEHOLDERS: Final = re.compile(_FORM)
_LIVE: Final = re.compile(r"\[(?:[A-Z][A-Z0-9_]{0,39}(?:_[A-Z2-7]{0,10})?)?")
_KIND: Final = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
_KIND_LENGTH: Final = 40
_DIGEST_BYTES: Final = 7  # 56 bits: base32 makes 12 characters of them, of which 10 are taken
_DIGEST_LENGTH: Final = 10
_DRAWS: Final = 64
_ROOM_PER_VALUE: Final = 1024
_ROOM_AT_LEAST: Final = 1 << 20

_NOT_A_LETTER: Final = re.compile(r"[^A-Z0-9]+")
_HOW_IT_WAS_TOLD: Final = re.compile(r"_(?:BEHIND_ESCAPE|NAMED|TOLD|PRIVATE|VERIFIED|UNSEPARATED|DETECTED|LEAKAGE)$")
_FAMILIES: Final = ("pii", "secret", "secrets")
_SECRET_TYPES: Final = ("secret", "credential", "api_key")
# Names that a model knows from elsewhere; one for all rules that find the same kind of thing.
_KNOWN: Final = {
    "EMAIL": "EMAIL_ADDRESS",
    "IPV6_ADDRESS": "IP_ADDRESS",
    "ETHEREUM_ADDRESS": "CRYPTO_ADDRESS",
    "PHONE_INTERNATIONAL": "PHONE_NUMBER",
    "PHONE_US": "PHONE_NUMBER",
    "PHONE_ANNOUNCED": "PHONE_NUMBER",
    "PHONE_LABELLED": "PHONE_NUMBER",
    "PHONE_NATIONAL": "PHONE_NUMBER",
    "SHORT_PASSWORD": "PASSWORD",
    "COMMAND_PASSWORD": "PASSWORD",
    "URL_PASSWORD": "PASSWORD",
}


class Vault:
    """What stands for what. Several calls at once may use one vault.

    `key` is secret and unique to a call or a session: placeholders of another key cannot be told from noise. At most
    `limit` values are kept, with about 1,000 characters each on average, and as many reserved placeholders.
    """

    __slots__ = ("_key", "_limit", "_lock", "_made", "_originals", "_reserved", "_room")

    def __init__(self, key: bytes, *, limit: int = 10_000) -> None:
        self._key, self._limit = key, limit
        self._room = max(_ROOM_AT_LEAST, limit * _ROOM_PER_VALUE)
        self._made: dict[tuple[str, str], str] = {}
        self._originals: dict[str, str] = {}
        self._reserved: set[str] = set()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._originals)

    def placeholder(self, value: str, kind: str) -> str | None:
        """What stands for the value, always the same; None when the vault is full and does not have it yet.

        A kind that is not of the form `[A-Z][A-Z0-9_]{0,39}` is made so.
        """
        kind = kind if _KIND.fullmatch(kind) else _label(kind)
        made = self._made.get((kind, value))
        if made is not None:
            return made
        with self._lock:
            return self._made.get((kind, value)) or self._make(kind, value)

    def original(self, placeholder: str) -> str | None:
        """The value that a placeholder of this vault stands for."""
        return self._originals.get(placeholder)

    def reserve(self, text: str) -> None:
        """Never make a placeholder that is in the text already, by whatever chance; call it before `placeholder`.

        A text with more of them than the vault may keep makes it full.
        """
        with self._lock:
            for match in _PLACEHOLDERS.finditer(text):
                if len(self._reserved) > self._limit:
                    return
                if match[0] not in self._originals:
                    self._reserved.add(match[0])

    def _make(self, kind: str, value: str) -> str | None:
        if len(self._made) >= self._limit or len(self._reserved) > self._limit or len(value) > self._room:
            return None
        for draw in range(_DRAWS):
            name = f"[{kind}_{self._digest(kind, value, draw)}]"
            if name not in self._reserved and name not in self._originals:
                self._originals[name] = value
                self._made[kind, value] = name
                self._room -= len(value)
                return name
        return None

    def _digest(self, kind: str, value: str, draw: int) -> str:
        salt = f"{draw}\0" if draw else ""
        message = f"{salt}{kind}\0{value}".encode("utf-8", "surrogatepass")
        return b32encode(hmac.digest(self._key, message, "sha256")[:_DIGEST_BYTES])[:_DIGEST_LENGTH].decode()


def live_from(text: str, start: int) -> int:
    """Where the leftmost end part of the text begins, not before `start`, that may still become a placeholder.

    The length of the text if there is none.
    """
    at = text.rfind("[", max(start, len(text) - LONGEST + 1))
    return at if at >= 0 and _LIVE.fullmatch(text, at) else len(text)


def restored(text: str, vault: Vault, *, escape: bool = False) -> str:
    """The text with the originals of all placeholders that the vault knows; what they hold is not searched again.

    `escape`: the text is JSON source (the arguments of a tool call), so an original is written as inside a literal.
    """
    edits = replacements(text, vault, escape=escape)
    return applied(text, edits) if edits else text


def replacements(text: str, vault: Vault, *, escape: bool = False) -> list[Edit]:
    """What `restored` does, as edits in order."""
    edits = []
    for match in _PLACEHOLDERS.finditer(text):
        original = vault.original(match[0])
        if original is not None:
            edits.append(Edit(match.start(), match.end(), escaped(original) if escape else original))
    return edits


def kind_of(finding: Finding) -> str:
    """What kind of thing was found, as one upper-case word of at most 40 characters; `SECRET_` leads for secrets.

    It is made of the names of rule and type alone.
    """
    family, _, name = finding.rule.partition(".")
    if family in _FAMILIES and name:
        secret = family != "pii"
    else:
        secret, name = finding.type.startswith(_SECRET_TYPES), finding.type
    word = _word(name)
    return _label(f"SECRET_{word}" if secret and not word.startswith("SECRET") else word)


def _word(name: str) -> str:
    label = _label(name)
    while (shorter := _HOW_IT_WAS_TOLD.sub("", label)) != label:
        label = shorter
    return _KNOWN.get(label, label)


def _label(name: str) -> str:
    label = _NOT_A_LETTER.sub("_", name.upper()).strip("_")
    if not label:
        return "DATA"
    return (label if label[0].isalpha() else f"DATA_{label}")[:_KIND_LENGTH]
