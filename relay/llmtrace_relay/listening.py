"""Whether the relay may listen where it is told to: not beyond this machine without keys, unless that is meant."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

from llmtrace_sdk.config.relay import address_of

if TYPE_CHECKING:
    from llmtrace_sdk.config import Settings


def refusal_to_listen(settings: Settings) -> str | None:
    """Why the relay does not start with these settings, and both ways out; None when it may."""
    auth, address = settings.auth, settings.listen_addr
    if auth.enabled or auth.allow_remote_without_auth or is_local(address):
        return None
    return (
        f"listen_addr {address} can be reached from other machines, and without keys everybody there could read what "
        "is stored and spend what you pay for. Either switch keys on (auth.enabled: true with auth.admin_key, or "
        'LLMTRACE_AUTH_ENABLED=true and LLMTRACE_AUTH_ADMIN_KEY="$(openssl rand -hex 32)"), or say that it is meant '
        "(auth.allow_remote_without_auth: true). With listen_addr 127.0.0.1:8080 only this machine can reach it."
    )


@lru_cache(maxsize=256)
def is_own_host(host: str | None) -> bool:
    """Whether a `Host` field names this machine's loopback. With another name a page in somebody's browser could have
    it looked up as 127.0.0.1, and read what needs no key (DNS rebinding).
    """
    name = (host or "").lower()
    name = name.partition("]")[0].removeprefix("[") if name.startswith("[") else name.partition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def guards_host(settings: Settings) -> bool:
    """Whether only requests to the loopback's own names are served: without keys, and for this machine alone."""
    return not settings.auth.enabled and is_local(settings.listen_addr)


def is_local(listen_addr: str) -> bool:
    """Whether only this machine can connect. A name other than localhost may be any address, so it is not."""
    found = address_of(listen_addr)
    if found is None:
        return False
    host = found[0]
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
