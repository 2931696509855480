"""Where a Redis is. Holds a password, so it never shows itself whole."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit

from llmtrace_sdk.errors import ConfigError

_SCHEMES: Final = {
    "redis": ("redis", False),
    "rediss": ("rediss", False),
    "redis-cluster": ("redis", True),
    "rediss-cluster": ("rediss", True),
}
_OPTIONS: Final = frozenset(
    {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}
)


class Address:
    """`redis://`, `rediss://` (TLS), `redis-cluster://` or `rediss-cluster://`, then `user:password@host:port`.

    A cluster may have several `host:port`, with commas between them. Names of options behind `?` are redis-py's.
    Raises `ConfigError`, without anything of the URL, when it cannot be used.
    """

    __slots__ = ("cluster", "others", "url")

    def __init__(self, url: str) -> None:
        try:
            self.url, self.others, self.cluster = _parsed(url)
        except ValueError:
            shape = "redis[s][-cluster]://[user:password@]host[:port][/db], special characters percent-encoded"
            raise ConfigError([f"state.url: is not of the form {shape}"]) from None

    def __repr__(self) -> str:
        return f"<{'cluster' if self.cluster else 'server'} at {urlsplit(self.url).hostname}>"


def _parsed(url: str) -> tuple[str, tuple[tuple[str, int], ...], bool]:
    parts = urlsplit(url)
    scheme, cluster = _SCHEMES.get(parts.scheme, ("", False))
    account, at, places = parts.netloc.rpartition("@")
    first, *others = places.split(",")
    options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    if not scheme or parts.fragment or (others and not cluster) or not options.keys() <= _OPTIONS:
        raise ValueError
    if not (parts.path.strip("/") or "0").isdigit():
        raise ValueError
    plain = parts._replace(scheme=scheme, netloc=f"{account}{at}{first}")
    _place(first)
    return plain.geturl(), tuple(_place(other) for other in others), cluster


def _place(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError
    return parts.hostname, parts.port or 6379
