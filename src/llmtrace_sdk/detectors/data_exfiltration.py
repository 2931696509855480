"""Data on its way out: orders to send it, and addresses and tool calls that carry it (OWASP LLM02)."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Final
from urllib.parse import unquote_plus

from llmtrace_sdk.detectors import _asserted, _rules

LONG: Final = 24
"""Characters from which a value that reads like words, or like nothing at all, is more than a setting."""

REFERRED: Final = 8192
"""How far from its definition, in characters, a reference is looked for."""

_PAIR: Final = re.compile(r"[?&;]([^=&;#]{0,200})=?([^&;#]*)")
_SIGNED: Final = re.compile(
    r"[?&](?:x-amz-signature|x-goog-signature|signature|sig|hmac|expires|exp|policy|token-hash)=", re.IGNORECASE
)
_CAMPAIGN: Final = re.compile(
    r"(?:utm_\w+|gclid|fbclid|ref|source|v|rev|hash|etag|version|ixlib|auto|fit|crop)\Z", re.IGNORECASE
)
_HOLE: Final = re.compile(
    r"\{\{?[^{}\n]{1,60}\}|\$\{|\[(?i:insert|your|data|user|secret|conversation|summary)|[A-Z]{3,12}_[A-Z_]{3,30}\Z"
)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2}){12,}\Z", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_REFERENCE: Final = re.compile(r"\[([^\]\n]{1,60})\]:\s{0,4}<?\Z")
_OTHERS_DID: Final = re.compile(r"\b(?:they|he|she|who|which|was|were|has|had|have|been|attackers?)\s\Z", re.IGNORECASE)


def ordered(text: str, start: int, end: int) -> bool:
    """An order, not a report or a warning."""
    return _asserted.asserted(text, start, end) and not _OTHERS_DID.search(text, max(0, start - 16), start)


def carries_data(text: str, start: int, end: int) -> bool:
    """Whether the query of an address holds words, a template's gap or something encoded, not just settings."""
    url = text[start:end]
    if _SIGNED.search(url):
        return False
    return any(_is_data(value) for value in _values(url))


def carries_encoded_data(text: str, start: int, end: int) -> bool:
    """As `carries_data`, but words alone are no data: a link to a search has them."""
    url = text[start:end]
    return not _SIGNED.search(url) and any(_HOLE.search(value) or _decodes(value) for value in _values(url))


def path_carries_data(text: str, start: int, end: int) -> bool:
    """Whether a part of the path of an address is encoded text, or words with spaces between them."""
    parts = text[start:end].split("/")[3:]
    return any(_decodes(part.rpartition(".")[0] or part) or part.count("%20") + part.count("+") > 3 for part in parts)


def image_reference(text: str, start: int, end: int) -> bool:
    """As `carries_data`, for the address of a label that an image of the same text uses."""
    label = _REFERENCE.search(text, max(0, start - 80), start)
    if label is None or not carries_data(text, start, end):
        return False
    used = re.compile(rf"!(?:\[[^\]\n]{{0,200}}\])?\[{re.escape(label[1])}\]")
    return used.search(text, max(0, start - REFERRED), min(len(text), end + REFERRED)) is not None


def _values(url: str) -> list[str]:
    """The values of an address's query, decoded; a name without a value is a value."""
    pairs = _PAIR.findall(url[url.find("?") :])
    return [unquote_plus(value or name) for name, value in pairs if not _CAMPAIGN.match(name)]


def _is_data(value: str) -> bool:
    return bool(_HOLE.search(value)) or _decodes(value) or (len(value) >= LONG and len(_WORD.findall(value)) > 2)


def _decodes(value: str) -> bool:
    """Whether it is base64 or hex for text."""
    if _HEX.fullmatch(value):
        return _readable(bytes.fromhex(value))
    if not _BASE64.fullmatch(value):
        return False
    body = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _readable(b64decode(body + "=" * (-len(body) % 4)))
    except ValueError:
        return False


def _readable(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return len(text) > 10 and text.replace("\n", " ").isprintable() and sum(map(str.isalnum, text)) * 2 > len(text)


CHECKS = {
    "ordered": ordered,
    "carries_data": carries_data,
    "carries_encoded_data": carries_encoded_data,
    "path_carries_data": path_carries_data,
    "image_reference": image_reference,
}


def build() -> _rules.RuleDetector:
    """The detector."""
    return _rules.RuleDetector("data_exfiltration", {"input", "output"}, _rules.load("data_exfiltration"), CHECKS)
