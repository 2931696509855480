"""Keyed digests: of a matched text, and of the names of tenants, agents, models, ... in the keys of a shared store."""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import Final

_SALT: Final = b"llmtrace.limits.1"


def of(key: bytes, text: str) -> str:
    """`hmac-sha256:` and 16 hex digits: equal matches can be told, the text cannot be got back."""
    return f"hmac-sha256:{hmac.digest(key, text.encode('utf-8', 'replace'), 'sha256')[:8].hex()}"


class Names:
    """What stands for names in keys: the same in every process that has the same secret.

    Without a secret (`b""`) names are only out of sight: who sees the keys can try the names that there may be.
    """

    __slots__ = ("_key",)

    def __init__(self, secret: bytes = b"") -> None:
        self._key = hmac.digest(_SALT, secret, "sha256") if secret else _SALT

    def of(self, kind: str, name: str) -> str:
        """18 hex digits for a name of a kind (`tenant`, `agent`, ...)."""
        return _digits(self._key, kind, name)

    def tag(self, tenant: str) -> str:
        """What all keys of a tenant begin with, so that one node of a cluster has them all."""
        return f"{{{self.of('tenant', tenant)}}}"


@lru_cache(maxsize=4096)
def _digits(key: bytes, kind: str, name: str) -> str:
    return hmac.digest(key, f"{kind}\0{name}".encode("utf-8", "surrogatepass"), "sha256")[:9].hex()


UNKEYED: Final = Names()
