"""Where a call to the relay came from: the address of the client, which a header may tell only on a proxy's word."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Network

    from llmtrace_sdk.core.routing import RouterOptions

    Address = IPv4Address | IPv6Address
    Network = IPv4Network | IPv6Network

HEADER_LIMIT: Final = 4_096
"""Characters of X-Forwarded-For that are read, from its end: that is where proxies write."""

HOPS_LIMIT: Final = 64
_LONGEST: Final = 64
_SITE_BITS: Final = 64


def source_of(
    peer: str | None, x_forwarded_for: str | None, x_real_ip: str | None, options: RouterOptions
) -> str | None:
    """The address of the client in its shortest form, or None when it is not known (a call of this process, say).

    Headers count only where the socket's peer is a trusted proxy. Then it is the rightmost address of
    X-Forwarded-For that is not itself a trusted proxy; without that header X-Real-IP; else the peer.
    """
    own = parsed(peer)
    trusted = networks(options.trusted_proxies)
    if own is None or not _within(own, trusted):
        return None if own is None else str(own)
    hops = _hops(x_forwarded_for)
    if not hops:
        hops = [address] if (address := parsed(x_real_ip)) is not None else []
    return str(next((hop for hop in hops if not _within(hop, trusted)), own))


@lru_cache(maxsize=1024)
def parsed(text: str | None) -> Address | None:
    """An address as it stands in headers and sockets, without port and zone; None for anything else.

    An IPv4 address that is mapped into IPv6 is the IPv4 address.
    """
    if text is None or len(text) > _LONGEST:
        return None
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def subject(source: str) -> str:
    """What is blocked for an address: it alone, or for IPv6 its /64, all of which belongs to one customer."""
    address = parsed(source)
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address) >> _SITE_BITS << _SITE_BITS, 128 - _SITE_BITS)))
    return source


def spared(source: str, options: RouterOptions) -> str | None:
    """Why an address is never blocked, as a code: to block a proxy is to block everybody behind it."""
    address = parsed(source)
    if address is None:
        return "no_source"
    if _within(address, networks(options.exempt_networks)):
        return "exempt"
    return "trusted_proxy" if _within(address, networks(options.trusted_proxies)) else None


def wrong_networks(names: tuple[str, ...]) -> list[str]:
    """Those that are no networks in CIDR notation, and no addresses."""
    return [name for name in names if _network(name) is None]


@lru_cache(maxsize=16)
def networks(names: tuple[str, ...]) -> tuple[Network, ...]:
    """The networks, without those that are none."""
    return tuple(found for name in names if (found := _network(name)) is not None)


def _network(name: object) -> Network | None:
    try:
        return ip_network(name) if isinstance(name, str) else None
    except ValueError:
        return None


def _within(address: Address, known: tuple[Network, ...]) -> bool:
    return any(address in network for network in known)


def _hops(header: str | None) -> list[Address]:
    """The addresses in a header, the last one first."""
    told = (header or "")[-HEADER_LIMIT:].rsplit(",", HOPS_LIMIT)
    # of what was cut off at the left, the first piece may be the end of an address
    cut = len(header or "") > HEADER_LIMIT or len(told) > HOPS_LIMIT
    return [hop for piece in reversed(told[1:] if cut else told) if (hop := parsed(piece)) is not None]
