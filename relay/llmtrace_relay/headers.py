"""Header fields on their way through: what a proxy must not pass on (RFC 9110 section 7.6.1), and what is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, overload

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Raw = "Sequence[tuple[bytes, bytes]]"

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
OURS: Final = b"x-llmtrace-"
CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
# Who sent the call is nobody's business upstream; the rest is made anew for the request that we send.
_NOT_SENT: Final = HOP_BY_HOP | {
    b"host",
    b"expect",
    b"forwarded",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-proto",
    b"x-real-ip",
}


class Headers:
    """The header fields of a message, by name in lower case; fields of one name are joined (RFC 9110 section 5.3)."""

    __slots__ = ("_by_name", "raw")

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self.raw = raw
        by_name: dict[str, str] = {}
        for key, value in raw:
            name, text = key.decode("latin-1").lower(), value.decode("latin-1")
            by_name[name] = f"{by_name[name]}, {text}" if name in by_name else text
        self._by_name = by_name

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, default: str, /) -> str: ...
    def get(self, name: str, default: str | None = None, /) -> str | None:
        """The value of a field."""
        return self._by_name.get(name, default)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name


def to_upstream(
    headers: Headers, *, without: Iterable[bytes] = (), body_changed: bool = False
) -> list[tuple[str, str]]:
    """The fields of a request that go on. `without` names more that must not, in lower case."""
    refused = _NOT_SENT | _named_by(headers.get("connection")) | frozenset(without)
    if body_changed:
        refused |= {b"content-length", b"content-encoding"}
    return [
        (name.decode("latin-1"), _text(value))
        for name, value in headers.raw
        if name not in refused and not name.startswith(OURS)
    ]


def to_client(
    raw: Sequence[tuple[bytes, bytes]], *, resized: bool = False, recoded: bool = False
) -> list[tuple[bytes, bytes]]:
    """The fields of an answer that go on; nobody but the relay says `x-llmtrace-`. `resized`: the body may come in
    another length; `recoded`: and without its content coding.
    """
    named = b",".join(value for name, value in raw if name.lower() == b"connection")
    refused = HOP_BY_HOP | (_named_by(named.decode("latin-1")) if named else frozenset())
    if resized or recoded:
        refused |= {b"content-length"}
    if recoded:
        refused |= {b"content-encoding"}
    return [(name, value) for name, value in raw if (low := name.lower()) not in refused and not low.startswith(OURS)]


def _named_by(connection: str | None) -> frozenset[bytes]:
    if not connection:
        return frozenset()
    return frozenset(name.strip().lower().encode("latin-1", "replace") for name in connection.split(","))


def _text(value: bytes) -> str:
    # the client writes UTF-8; what is none goes on as the characters of Latin-1, as nobody could mean anything else
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
