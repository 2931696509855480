"""Check digits of tokens, keys and addresses that carry their own: CRC32 tails, base58check, bech32, EIP-55.

Sources: GitHub's and npm's announcements of their token formats (2021); bitcoin's base58check; BIP 173 and 350; EIP-55
over Keccak-f[1600] of the Keccak submission, whose padding is not that of SHA-3.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final
from zlib import crc32

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUES: Final = {character: value for value, character in enumerate(_BASE58)}
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BECH32_VALUES: Final = {c: value for value, c in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_BECH32_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_CONSTANTS: Final = (1, 0x2BC830A3)
_LANE: Final = (1 << 64) - 1
_RATE: Final = 136


def base62_crc32(body: str) -> str:
    """The six characters that end a token whose other characters, behind its prefix, are `body` (ASCII)."""
    number, digits = crc32(body.encode("ascii", "replace")), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def base58check(text: str) -> bytes | None:
    """Version and payload of a base58check text, or None if its last four bytes are not the right ones."""
    number = 0
    for character in text:
        value = _BASE58_VALUES.get(character)
        if value is None:
            return None
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    body, check = data[:-4], data[-4:]
    return body if len(data) > 4 and sha256(sha256(body).digest()).digest()[:4] == check else None


def bech32(text: str) -> bool:
    """Whether the check characters of a bech32 or bech32m text are right."""
    if text not in (text.lower(), text.upper()):
        return False
    prefix, separator, data = text.lower().rpartition("1")
    if not prefix or not separator or len(data) < 6 or any(c not in _BECH32_VALUES for c in data):
        return False
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [_BECH32_VALUES[c] for c in data]
    return _polymod(values) in _BECH32_CONSTANTS


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_BECH32_GENERATORS):
            if top >> bit & 1:
                check ^= generator
    return check


def eip55(address: str) -> bool:
    """Whether the case of the letters of an ethereum address (40 hex digits) is its checksum."""
    digest = keccak256(address.lower().encode("ascii", "replace")).hex()
    return all(
        not character.isalpha() or character.isupper() == (int(digest[place], 16) >= 8)
        for place, character in enumerate(address[:40])
    )


def keccak256(data: bytes) -> bytes:
    """The 32 bytes of Keccak-256."""
    padded = bytearray(data + b"\x01" + bytes(-(len(data) + 1) % _RATE))
    padded[-1] |= 0x80
    lanes = [0] * 25
    for block in range(0, len(padded), _RATE):
        for lane in range(_RATE // 8):
            lanes[lane] ^= int.from_bytes(padded[block + 8 * lane : block + 8 * lane + 8], "little")
        lanes = _permuted(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _permuted(lanes: list[int]) -> list[int]:
    register = 1
    for _ in range(24):
        lanes = _chi(_rho_pi(_theta(lanes)))
        for power in range(7):
            register = (register << 1) ^ ((register >> 7) * 0x171)
            if register & 2:
                lanes[0] ^= 1 << ((1 << power) - 1)
    return lanes


def _theta(lanes: list[int]) -> list[int]:
    columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
    return [lane ^ columns[(at + 4) % 5] ^ _rotated(columns[(at + 1) % 5], 1) for at, lane in enumerate(lanes)]


def _rho_pi(lanes: list[int]) -> list[int]:
    moved = lanes.copy()
    x, y = 1, 0
    current = lanes[1]
    for step in range(24):
        x, y = y, (2 * x + 3 * y) % 5
        current, moved[x + 5 * y] = lanes[x + 5 * y], _rotated(current, (step + 1) * (step + 2) // 2)
    return moved


def _chi(lanes: list[int]) -> list[int]:
    return [
        lane ^ (~lanes[at - at % 5 + (at + 1) % 5] & lanes[at - at % 5 + (at + 2) % 5] & _LANE)
        for at, lane in enumerate(lanes)
    ]


def _rotated(lane: int, by: int) -> int:
    by %= 64
    return ((lane << by) | (lane >> (64 - by))) & _LANE
