"""What the relay reads of the settings: where it listens and sends to, what it keeps, and who may ask it.

A process that instruments its own clients reads none of this. Keys that LLMTrace's proxy has too are named as there.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import ClassVar, Literal
from urllib.parse import urlsplit

_POSTGRES = ("postgres://", "postgresql://")


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageOptions:
    """What the relay keeps of calls, and where.

    `profile`: `lite` is a SQLite file, `memory` is gone with the process, `production` is PostgreSQL.
    `database_path`: the SQLite file. `postgres_url`: the PostgreSQL database; needs the extra `postgres`.
    `spool_path`: the folder in which calls wait for the database; beside the SQLite file, or in the working directory,
    when not given. `spool_max_bytes`: how much may wait there before the oldest are dropped. `capture`: the texts of
    calls: `none`; `redacted`, without personal data and secrets; or `full`. `max_text_bytes`: how much of a prompt or
    an answer is kept. `retention_days`: how long calls are kept; for ever when not given. `max_bytes`: how large the
    calls kept may become before the oldest are deleted.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    profile: Literal["lite", "memory", "production"] = "lite"
    database_path: str = "llmtrace.db"
    postgres_url: str = "postgresql://llmtrace:llmtrace@localhost/llmtrace"
    spool_path: str | None = None
    spool_max_bytes: int = 256 << 20
    capture: Literal["none", "redacted", "full"] = "redacted"
    max_text_bytes: int = 64 << 10
    retention_days: float | None = 30
    max_bytes: int | None = None

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        found = []
        if not self.postgres_url.startswith(_POSTGRES):
            found.append("storage.postgres_url: must begin with postgresql://")
        for name, least in (("spool_max_bytes", 1 << 16), ("max_text_bytes", 0), ("max_bytes", 1 << 20)):
            value = getattr(self, name)
            if value is not None and value < least:
                found.append(f"storage.{name}: {value} is less than {least}")
        if self.retention_days is not None and not self.retention_days > 0:
            found.append(f"storage.retention_days: {self.retention_days} keeps nothing; give days over 0")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthOptions:
    """Who may use the relay.

    `enabled`: every caller needs a key. `admin_key`: the key of the operator of the relay, who sees all tenants; better
    given as `LLMTRACE_AUTH_ADMIN_KEY`. `allow_remote_without_auth`: listen beyond this machine without keys.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enabled: bool = False
    admin_key: str | None = None
    allow_remote_without_auth: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A place to send calls to, beside `upstream_url`, and which calls go there: those with all that is given.

    `name`: what `x-llmtrace-upstream` may ask for. `url`: where to; its path comes before that of the call. `path`: the
    beginning of the path of calls that go there. `strip_path`: that beginning is not sent on. `host`: the `Host` that
    the call was made to. `api_key_env`: the environment variable with the key that is sent in place of the caller's.
    `tenant_key_envs`: the same by tenant.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: str
    url: str
    path: str | None = None
    strip_path: bool = False
    host: str | None = None
    api_key_env: str | None = None
    tenant_key_envs: dict[str, str] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        found = [] if is_http(self.url) else [f"upstreams.{self.name}.url: {self.url!r} is no http:// or https:// URL"]
        if self.path is not None and not self.path.startswith("/"):
            found.append(f"upstreams.{self.name}.path: {self.path!r} does not begin with /")
        if self.strip_path and self.path is None:
            found.append(f"upstreams.{self.name}.strip_path: there is no path to strip; give path")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestOptions:
    """Spans that other programs report. `enabled`: take them at `POST /v1/traces` (OTLP over HTTP)."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownOptions:
    """How the relay ends. `timeout_seconds`: how long calls under way may take to end after SIGTERM."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    timeout_seconds: float = 30

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        if self.timeout_seconds >= 0:
            return []
        return [f"shutdown.timeout_seconds: {self.timeout_seconds} is negative; give 0 or more"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What the relay logs. `level`: from which level on. `format`: lines for people (`text`) or for programs."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


def is_http(url: str) -> bool:
    """Whether a text is the URL of an HTTP server, without query or fragment."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)


def relay_problems(settings: object) -> list[str]:
    """What is wrong with the relay's keys that are in no group, one sentence each."""
    found = []
    for name in ("timeout_ms", "connection_timeout_ms", "idle_timeout_ms", "max_connections"):
        value = getattr(settings, name)
        if value < 1:
            found.append(f"{name}: {value} is less than 1")
    url, listen, tenant = (getattr(settings, name) for name in ("upstream_url", "listen_addr", "default_tenant_id"))
    if not is_http(url):
        found.append(f"upstream_url: {url!r} is no http:// or https:// URL")
    if address_of(listen) is None:
        found.append(f"listen_addr: {listen!r} is not host:port")
    if tenant is not None and not _is_uuid(tenant):
        found.append(f"default_tenant_id: {tenant!r} is no UUID")
    upstreams: tuple[Upstream, ...] = getattr(settings, "upstreams")  # noqa: B009 - settings import this module
    found += [problem for upstream in upstreams for problem in upstream.problems()]
    names = [upstream.name for upstream in upstreams]
    found += [f"upstreams: the name {name!r} is given twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if getattr(settings, "enable_tls") and not (  # noqa: B009
        getattr(settings, "tls_cert_file") and getattr(settings, "tls_key_file")  # noqa: B009
    ):
        found.append("enable_tls: needs tls_cert_file and tls_key_file")
    return found


def address_of(listen: str) -> tuple[str, int] | None:
    """Host and port of `host:port` or `[v6]:port`; None when it is neither."""
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        return None
    return host.removeprefix("[").removesuffix("]"), int(port)


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
