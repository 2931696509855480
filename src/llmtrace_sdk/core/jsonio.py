"""JSON in, for inspection: quick on well-formed text, lenient where the other end may be lenient too."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from llmtrace_sdk.errors import Unreadable


def decode(data: bytes) -> Any:
    """Decode a JSON text; raises `Unreadable` with `empty_body`, `too_deep` or `invalid_json`.

    The quick decoder refuses lone surrogates and NaN. Python's own accepts both, and so do many servers, so a text
    that only the quick one refuses must still be inspected.
    """
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise Unreadable("too_deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    if not data.strip():
        raise Unreadable("empty_body")
    try:
        return json.loads(data)
    except RecursionError:
        raise Unreadable("too_deep") from None
    except ValueError:  # JSONDecodeError and UnicodeDecodeError
        raise Unreadable("invalid_json") from None
