"""Which upstream a call goes to, by its path, its host or what it asks for, and with whose key."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from llmtrace_relay.headers import CREDENTIALS
from llmtrace_sdk.config.relay import Upstream

if TYPE_CHECKING:
    from llmtrace_relay.headers import Headers
    from llmtrace_sdk.config import Settings

ASKED: Final = "x-llmtrace-upstream"
_ANTHROPIC_VERSION: Final = "2023-06-01"
_GOOGLE: Final = ".googleapis.com"
# The only vendor that takes credentials there.
_KEYS_IN_QUERIES: Final = (b"key=", b"access_token=")


class Base(NamedTuple):
    """The place that an upstream's URL names; `path` has no slash at its end."""

    scheme: str
    host: str
    port: int | None
    path: str
    origin: str


class Target(NamedTuple):
    """Where a call goes. `path` is what it is called with there, `url` all of it, `key` what to send as credential."""

    base: Base
    path: str
    url: str
    upstream: Upstream
    key: str | None


class UnknownUpstream(Exception):
    """A call asked for an upstream that is not configured, or for a path that none has."""


class MissingKey(Exception):
    """The key that is configured for an upstream is not set."""


def target_of(settings: Settings, headers: Headers, raw_path: bytes, query: bytes, tenant: str | None) -> Target:
    """Where a call goes. Raises `UnknownUpstream` and `MissingKey`, whose messages are for the caller."""
    path = raw_path.decode("latin-1")
    if not path.startswith("/"):  # behind a host and port, `*@other` would name another host
        raise UnknownUpstream("the path of a call begins with /")
    upstream = _chosen(settings, headers, path)
    if upstream.strip_path and upstream.path is not None and _begins(upstream.path, path):
        path = _without(upstream.path, path)
    base = base_of(upstream.url)
    whole = base.path + path
    key = _key(upstream, tenant)
    if key is not None and query and base.host.endswith(_GOOGLE):
        query = b"&".join(each for each in query.split(b"&") if not each.startswith(_KEYS_IN_QUERIES))
    url = f"{base.origin}{whole}" + (f"?{query.decode('latin-1')}" if query else "")
    return Target(base, whole, url, upstream, key)


def credential(target: Target) -> list[tuple[str, str]]:
    """The header fields with the configured key, as the vendor behind that host wants it."""
    key, host = target.key, target.base.host
    if key is None:
        return []
    if host.endswith("anthropic.com"):
        return [("x-api-key", key)]
    if host.endswith((".openai.azure.com", ".cognitiveservices.azure.com")):
        return [("api-key", key)]
    if host.endswith("generativelanguage.googleapis.com"):
        return [("x-goog-api-key", key)]
    return [("authorization", f"Bearer {key}")]


def defaults(target: Target, headers: Headers) -> list[tuple[str, str]]:
    """Fields that a vendor wants and callers with another vendor's client lack."""
    if target.key is not None and target.base.host.endswith("anthropic.com") and "anthropic-version" not in headers:
        return [("anthropic-version", _ANTHROPIC_VERSION)]
    return []


def replaced(target: Target) -> frozenset[bytes]:
    """The caller's fields that the configured key stands in for."""
    return CREDENTIALS if target.key is not None else frozenset()


@lru_cache(maxsize=256)
def base_of(url: str) -> Base:
    """The parts of an upstream's URL."""
    parts = urlsplit(url)
    host, port = (parts.hostname or "").lower(), parts.port
    shown = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")
    return Base(parts.scheme, host, port, parts.path.rstrip("/"), origin)


@lru_cache(maxsize=8)
def _default(url: str) -> Upstream:
    return Upstream(name="default", url=url)


def _chosen(settings: Settings, headers: Headers, path: str) -> Upstream:
    asked = headers.get(ASKED)
    if asked is not None:
        for upstream in settings.upstreams:
            if upstream.name == asked:
                return upstream
        if asked == "default":
            return _default(settings.upstream_url)
        known = ", ".join(upstream.name for upstream in settings.upstreams) or "none"
        raise UnknownUpstream(f"{ASKED} asks for an upstream that is not configured (configured: {known})")
    host = (headers.get("host") or "").lower()
    fitting = [each for each in settings.upstreams if _fits(each, path, host)]
    # the longest path says most; without one, the first host
    return max(fitting, key=lambda each: len(each.path or ""), default=_default(settings.upstream_url))


def _fits(upstream: Upstream, path: str, host: str) -> bool:
    if upstream.path is None and upstream.host is None:
        return False
    if upstream.path is not None and not _begins(upstream.path, path):
        return False
    wanted = upstream.host
    return wanted is None or host == wanted.lower() or host.partition(":")[0] == wanted.lower()


def _begins(prefix: str, path: str) -> bool:
    prefix = prefix.rstrip("/")
    return path == prefix or path.startswith(f"{prefix}/")


def _without(prefix: str, path: str) -> str:
    rest = path[len(prefix.rstrip("/")) :]
    return rest if rest.startswith("/") else f"/{rest}"


def _key(upstream: Upstream, tenant: str | None) -> str | None:
    variable = upstream.tenant_key_envs.get(tenant or "") or upstream.api_key_env
    if variable is None:
        return None
    key = os.environ.get(variable)
    if not key:
        raise MissingKey(f"the key of the upstream {upstream.name} is not set: the relay lacks {variable}")
    return key
