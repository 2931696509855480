"""Which hosts are not out in public: this machine, private networks, and names that only a local resolver knows."""

from __future__ import annotations

from typing import Final

LONGEST_HOST: Final = 253
"""Characters of a name in DNS."""

# Networks and their length in bits: RFC 1122 (this host, loopback), 1918, 3927 and 6598.
_NETWORKS_4: Final = (
    ((0, 0, 0, 0), 32),
    ((127, 0, 0, 0), 8),
    ((10, 0, 0, 0), 8),
    ((172, 16, 0, 0), 12),
    ((192, 168, 0, 0), 16),
    ((169, 254, 0, 0), 16),
    ((100, 64, 0, 0), 10),
)
# RFC 6761, 6762, 8375 and 9476, what ICANN keeps for private use, and what is common beside them.
_LOCAL_ENDINGS: Final = (
    ".localhost",
    ".local",
    ".internal",
    ".home.arpa",
    ".test",
    ".lan",
    ".intranet",
    ".private",
    ".corp",
    ".home",
)


def canonical(host: str) -> str:
    """A host in the form that the other functions expect: lower case, no brackets, no dot at the end."""
    return host[-LONGEST_HOST:].lower().rstrip(".").removeprefix("[").removesuffix("]")


def is_private(host: str) -> bool:
    """Whether a canonical host is of this machine, of a private network, or has a name that is none in public.

    Other spellings of addresses than the usual ones (`127.1`, `0x7f000001`) are taken for public.
    """
    if ":" in host:
        return _is_private_6(host)
    address = _parts_4(host)
    if address is not None:
        return _is_private_4(address)
    # a name without a dot has letters: a bare number is an address too
    return ("." not in host and host[:1].isalpha()) or host.endswith(_LOCAL_ENDINGS)


def _parts_4(host: str) -> tuple[int, ...] | None:
    """The numbers of an address such as 10.0.0.1; None for anything else."""
    parts = host.split(".", 4)
    if len(parts) != 4 or not all(_is_byte(part) for part in parts):
        return None
    return tuple(map(int, parts))


def _is_byte(part: str) -> bool:
    # a leading zero means octal to some resolvers
    return part.isascii() and part.isdigit() and len(part) <= 3 and int(part) < 256 and (part == "0" or part[0] != "0")


def _is_private_4(address: tuple[int, ...]) -> bool:
    number = int.from_bytes(address, "big")
    return any(number >> 32 - bits == int.from_bytes(first, "big") >> 32 - bits for first, bits in _NETWORKS_4)


def _is_private_6(host: str) -> bool:
    """RFC 4291 (loopback, link-local, IPv4-mapped) and 4193, by their usual spellings."""
    address = host.partition("%")[0]
    if address in ("::", "::1", "0:0:0:0:0:0:0:1"):
        return True
    if address.startswith("::ffff:"):
        mapped = _parts_4(address.removeprefix("::ffff:"))
        return mapped is not None and _is_private_4(mapped)
    first = address.partition(":")[0]
    if len(first) != 4:
        return False
    return first.startswith(("fc", "fd")) or (first.startswith("fe") and first[2] in "89ab")
