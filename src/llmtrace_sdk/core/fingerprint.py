"""A keyed digest of a matched text: equal matches can be told, the text cannot be got back."""

from __future__ import annotations

import hmac


def of(key: bytes, text: str) -> str:
    """`hmac-sha256:` and 16 hex digits."""
    return f"hmac-sha256:{hmac.digest(key, text.encode('utf-8', 'replace'), 'sha256')[:8].hex()}"
