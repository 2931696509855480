"""Addresses of machines and of wallets.

What says nothing about anybody is no finding: loopback, unspecified, multicast, broadcast and documentation addresses
(RFC 1122, 5737, 3849), networks with a zero at their end, and numbers that are dotted for another reason. Addresses of
private networks (RFC 1918, 6598, 4193, link-local) and well-known public resolvers have a rule of their own, of
severity info.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.detectors._checksums import base58check, bech32, eip55

if TYPE_CHECKING:
    from llmtrace_sdk.detectors._rules import Check

_VERSION: Final = re.compile(r"(?i:\b(?:v|ver|version|release|build|firmware|section|chapter|oid)[ .:=#]{0,2})\Z")
_DOCUMENTATION: Final = tuple(IPv4Network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"))
_DOCUMENTATION_6: Final = IPv6Network("2001:db8::/32")
_SHARED: Final = IPv4Network("100.64.0.0/10")
# How addresses begin that have a meaning of their own (IANA IPv4 Special-Purpose Address Registry): the others need not
# be looked up.
_SPECIAL: Final = frozenset({0, 10, 100, 127, 169, 172, 192, 198, 203, *range(224, 256)})
_RESOLVERS: Final = frozenset(
    {"1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "149.112.112.112", "208.67.222.222", "208.67.220.220"}
)
_ETHEREUM_CHECKED: Final = 64
_ETHEREUM_WINDOW: Final = 65_536


def public_ipv4(text: str, start: int, end: int) -> bool:
    """An address that the internet routes."""
    address = _ipv4(text, start, end)
    return address is not None and not _private_4(address)


def private_ipv4(text: str, start: int, end: int) -> bool:
    """An address inside a private network, or of a public resolver."""
    address = _ipv4(text, start, end)
    return address is not None and _private_4(address)


def public_ipv6(text: str, start: int, end: int) -> bool:
    """An address that the internet routes."""
    address = _ipv6(text, start, end)
    return address is not None and not address.is_private and not address.is_link_local


def private_ipv6(text: str, start: int, end: int) -> bool:
    """A unique local or link-local address."""
    address = _ipv6(text, start, end)
    return address is not None and (address.is_private or address.is_link_local)


def mac(text: str, start: int, end: int) -> bool:
    """A hardware address that is no group's, no zeros, and no part of a longer row of bytes."""
    if _in_row(text, start, end, ":-"):
        return False
    data = bytes.fromhex(text[start:end].replace(":", "").replace("-", ""))
    return len(set(data)) > 2 and not data[0] & 1


def wallet(text: str, start: int, end: int) -> bool:
    """An address with the right check bytes: base58check or bech32."""
    return bech32(text[start:end]) or base58check(text[start:end]) is not None


def ethereum(text: str, start: int, end: int) -> bool:
    """Forty hex digits that are no stand-in; where capitals and small letters are mixed, they are the checksum.

    The checksum takes long. Of addresses that stand close together, only the first are checked.
    """
    digits = text[start + 2 : end]
    if len(set(digits.lower())) < 6:
        return False
    if digits in (digits.lower(), digits.upper()):
        return True
    before = text.count("0x", max(0, start - _ETHEREUM_WINDOW), start)
    return before >= _ETHEREUM_CHECKED or eip55(digits)


def some_digits(text: str, start: int, end: int) -> bool:
    """Not one word: at least three digits, and more than a few different characters."""
    value = text[start:end]
    return sum(c.isdigit() for c in value) >= 3 and len(set(value)) >= 10


def _ipv4(text: str, start: int, end: int) -> IPv4Address | None:
    octets = text[start:end].split(".")
    counted = all(len(octet) == 1 for octet in octets) and text[start:end] not in _RESOLVERS
    if counted or _in_row(text, start, end, ".-") or _VERSION.search(text, max(0, start - 12), start):
        return None
    try:
        address = IPv4Address(text[start:end])
    except AddressValueError:
        return None
    first, *_, last = address.packed
    told = first in (0, 127, 255) or 224 <= first < 240 or last == 255
    network = text.startswith("/", end) and text[end + 1 : end + 2].isdigit()
    shown = first in _SPECIAL and any(address in network for network in _DOCUMENTATION)
    return None if told or network or shown else address


def _private_4(address: IPv4Address) -> bool:
    if address.packed[0] in _SPECIAL and (address.is_private or address.is_link_local or address in _SHARED):
        return True
    return str(address) in _RESOLVERS


def _ipv6(text: str, start: int, end: int) -> IPv6Address | None:
    if _in_row(text, start, end, ":."):
        return None
    try:
        address = IPv6Address(text[start:end])
    except AddressValueError:
        return None
    groups = [group for group in text[start:end].split(":") if group]
    bytes_only = max(map(len, groups)) < 3
    return None if len(groups) < 3 or bytes_only or address in _DOCUMENTATION_6 else address


def _in_row(text: str, start: int, end: int, joints: str) -> bool:
    """Whether more of the same kind is joined to the match."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    more = str.isalnum if ":" in joints else str.isdigit
    return (len(before) == 2 and before[1] in joints and before[0].isalnum()) or (
        len(after) == 2 and after[0] in joints and more(after[1])
    )


CHECKS: Final[dict[str, Check]] = {
    "public_ipv4": public_ipv4,
    "private_ipv4": private_ipv4,
    "public_ipv6": public_ipv6,
    "private_ipv6": private_ipv6,
    "mac": mac,
    "wallet": wallet,
    "ethereum": ethereum,
    "some_digits": some_digits,
}
