"""UTF-7 (RFC 2152), as far as it hides ASCII letters."""

from __future__ import annotations

import re
from binascii import Error, a2b_base64
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core.text.codecs._reading import Codec, escaped_runs, readable, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.text.codecs._reading import Reading

_SHIFTED: Final = re.compile(r"\+[A-Za-z0-9+/]{2,}+-?")
_MOST: Final = 16 << 10


def read(text: str) -> Iterator[Reading]:
    """Runs of shifted sequences that hold letters."""
    for run in escaped_runs(_SHIFTED, text):
        edits = [(start, end, _decoded(text[start : min(end, start + _MOST)])) for start, end in run]
        wanted = [edit for edit in edits if edit[2]]
        if sum(map(str.isalpha, "".join(edit[2] for edit in wanted))) >= 4:
            reading = replaced(text, wanted[0][0], wanted[-1][1], wanted)
            if readable(reading.text):
                yield reading


def _decoded(shifted: str) -> str:
    token = shifted.strip("+-")
    try:
        data = a2b_base64(token + "=" * (-len(token) % 4))
    except (Error, ValueError):
        return ""
    found = data[: len(data) & ~1].decode("utf-16-be", "replace")
    return found if found.isprintable() and "\ufffd" not in found else ""


CODEC: Final = Codec("utf7", read, (r"\+a[a-h][a-z0-9+/]",), confirm=r"\+A[A-H][A-Za-z0-9+/]{2}")
