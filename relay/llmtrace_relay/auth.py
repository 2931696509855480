"""Who calls: a relay key, a tenant's token or the admin key in the headers -> `Identity`; without keys, a tenant.

Where the database cannot be asked nobody gets in but those whom it vouched for within seconds, and the admin key.
"""

from __future__ import annotations

import hmac
import re
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote_to_bytes

from llmtrace_relay.denials import Denial, Denials
from llmtrace_relay.keys import has_key, is_key
from llmtrace_relay.model import Tenant
from llmtrace_relay.owners import Owners
from llmtrace_relay.store import Identity, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from llmtrace_relay.store import Metadata
    from llmtrace_sdk.config.relay import AuthOptions

TOKEN: Final = "x-llmtrace-token"  # noqa: S105 - the name of a header
TENANT: Final = "x-llmtrace-tenant-id"
VENDOR_HEADERS: Final = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
"""Where clients put their keys, in the order in which they are looked at."""

_MISSING: Final = (
    "Authentication required: send a key of this relay (llmt_...) as x-llmtrace-token or Authorization: Bearer; "
    "POST /api/v1/auth/keys makes one"
)
_INVALID: Final = "Invalid API key: it is unknown, revoked or expired; POST /api/v1/auth/keys makes another"
_UNAVAILABLE: Final = "Authentication service unavailable: the database does not answer; try again"
_NO_TENANT: Final = "x-llmtrace-tenant-id is no UUID; leave it out to speak for all tenants"
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE | re.ASCII)
_BEARER: Final = re.compile(r"bearer[ \t]+", re.IGNORECASE)


class Fields(Protocol):
    """Header fields, by name in lower case. `raw`, where there is any, has all of them as pairs of bytes."""

    def get(self, name: str, /) -> str | None:
        """The value of a field."""


class Denied(Exception):
    """The caller is not let in: HTTP status 401, 400 for a tenant that cannot be, or 503 when nobody can tell."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Authenticator:
    """Tells who calls. `identify` belongs to one event loop; `forget` may be called from any thread.

    `now_us` gives microseconds since the Unix epoch. Refused attempts are counted in the audit (`Denials`); `close`
    writes what was counted last.
    """

    def __init__(self, options: AuthOptions, store: Metadata, now_us: Callable[[], int]) -> None:
        self._enabled = options.enabled
        self._admin = options.admin_key.encode() if options.admin_key else None
        self._now_us = now_us
        self._owners = Owners(store, now_us)
        self._denials = Denials(store, now_us)

    async def identify(self, headers: Fields) -> Identity:
        """Who sends a request with these headers. Raises `Denied`."""
        if not self._enabled:
            return Identity(_tenant_named(headers), "admin", actor="local")
        denial = Denial("missing")
        for text in _offered(headers):
            if self._is_admin_key(text):
                return Identity(_narrowed(headers), "admin", actor="admin-key")
            if not is_key(text):
                continue
            found = await self._identity(text, headers)
            if isinstance(found, Identity):
                return found
            denial = found if denial.key_id is None else denial
        self._denials.note(denial)
        raise Denied(401, _MISSING if denial.reason == "missing" else _INVALID)

    def relay_key_in(self, headers: Fields) -> set[str]:
        """The names, in lower case, of the header fields that have a key to a relay in them: no vendor may see it."""
        fields: Sequence[tuple[bytes, bytes]] = getattr(headers, "raw", ()) or _known_fields(headers)
        if not self._is_secret(b"\n".join([value for _, value in fields])):  # nearly always, and quicker
            return set()
        return {name.decode("latin-1").lower() for name, value in fields if self._is_secret(value)}

    def without_keys(self, query: bytes) -> bytes:
        """A query without the parameters that have a key to a relay in them: nobody gets in with one, and somebody may
        send one all the same.
        """
        if not self._is_secret(unquote_to_bytes(query)):  # nearly always
            return query
        return b"&".join(each for each in query.split(b"&") if not self._is_secret(unquote_to_bytes(each)))

    def forget(self) -> None:
        """Ask the database anew from now on: keys, tokens or tenants have changed."""
        self._owners.forget()

    async def close(self) -> None:
        """Write what is still to be written. The database may be closed after that, and not before."""
        await self._denials.close()
        await self._owners.close()

    def _is_admin_key(self, text: str) -> bool:
        return self._admin is not None and hmac.compare_digest(_bytes(text), self._admin)

    def _is_secret(self, value: bytes) -> bool:
        return has_key(value) or (self._admin is not None and self._admin in value)

    async def _identity(self, key: str, headers: Fields) -> Identity | Denial:
        """Whose a key is, or why that does not count."""
        try:
            owner = await self._owners.of(key)
        except StoreUnavailable:
            raise Denied(503, _UNAVAILABLE) from None
        if owner is None:
            return Denial("unknown")
        if isinstance(owner, Tenant):
            return Identity(owner.id, "operator", actor=f"token:{owner.id}")
        if owner.revoked_at is not None:
            return Denial("revoked", owner.tenant_id, owner.id)
        if owner.expires_at is not None and owner.expires_at <= self._now_us():
            return Denial("expired", owner.tenant_id, owner.id)
        if owner.tenant_id is not None:
            return Identity(owner.tenant_id, owner.role, f"key:{owner.id}", owner.id)
        if owner.role != "admin":  # nobody's data can be meant, and everybody's must not be
            return Denial("unknown")
        return Identity(_narrowed(headers), "admin", f"key:{owner.id}", owner.id)


def _known_fields(headers: Fields) -> list[tuple[bytes, bytes]]:
    named = ((name, headers.get(name)) for name in (TOKEN, *VENDOR_HEADERS))
    return [(name.encode(), _bytes(value)) for name, value in named if value is not None]


def _offered(headers: Fields) -> Iterator[str]:
    """Everything that may be a key to the relay, what is meant for it first."""
    token = headers.get(TOKEN)
    if token is not None:
        yield token.strip(" \t")
    yield from _keys(headers)


def _keys(headers: Fields) -> Iterator[str]:
    for name in VENDOR_HEADERS:
        text = (headers.get(name) or "").strip(" \t")
        if name == "authorization":
            scheme = _BEARER.match(text)
            text = text[scheme.end() :] if scheme else ""
        if text:
            yield text


def _tenant_named(headers: Fields) -> str | None:
    """The tenant that a caller without a relay key names, be it by the vendor's key (as LLMTrace's proxy does)."""
    found = _uuid(headers.get(TENANT))
    if found is not None:
        return found
    key = next(_keys(headers), None)
    return None if key is None else _tenant_of(key)


@lru_cache(maxsize=1_024)
def _tenant_of(key: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, key))


def _narrowed(headers: Fields) -> str | None:
    """The tenant that the operator of the relay speaks for. Raises `Denied` where one is named that cannot be."""
    named = headers.get(TENANT)
    found = _uuid(named)
    if named is not None and found is None:
        raise Denied(400, _NO_TENANT)
    return found


def _uuid(text: str | None) -> str | None:
    text = (text or "").strip(" \t")
    return str(uuid.UUID(text)) if _UUID.fullmatch(text) else None


def _bytes(text: str) -> bytes:
    """The bytes that were sent: servers read header fields as Latin-1."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
