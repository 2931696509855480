"""Texts in the form in which they may be kept (`storage.capture`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from llmtrace_relay.ingest.hiding import UNKNOWN, masked
from llmtrace_relay.texts import WITHHELD
from llmtrace_sdk.core.masking import encodable, without_keys
from llmtrace_sdk.core.model import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmtrace_relay.ingest.hiding import Hidden
    from llmtrace_sdk.core.model import Phase

# A key that begins before the limit must be seen whole to be known as one.
_MARGIN: Final = 4096


class Capture(Struct, frozen=True):
    """How texts are kept: not at all, without personal data and secrets, or as they came; at most `limit` bytes."""

    mode: Literal["none", "redacted", "full"]
    limit: int

    def joined(
        self, parts: Iterable[tuple[str, Segment]], phase: Phase, hidden: Hidden, limit: int | None = None
    ) -> str:
        """Texts as lines, each after what is said before it."""
        if self.mode == "none":
            return ""
        limit = self.limit if limit is None else min(limit, self.limit)
        if self.mode == "full":
            return cut(_lines(((before, segment.text) for before, segment in parts), limit), limit)
        whole = _lines(((before, hidden.without(segment)) for before, segment in parts), limit + _MARGIN)
        if hidden.failed and whole:
            return cut(WITHHELD, limit)
        is_cut = hidden.cut or len(whole) == limit + _MARGIN
        whole = without_keys(whole) if hidden.complete else masked(whole, phase)
        # what was cut off in its middle is not known for what it is
        return cut(whole[:-_MARGIN] if is_cut else whole, limit)

    def plain(self, text: str, phase: Phase, limit: int) -> str:
        """One text that is no part of a conversation, such as what an error says."""
        return self.joined((("", Segment(encodable(text), "data", "")),), phase, UNKNOWN, limit)

    def masked(self, text: str, limit: int) -> str:
        """A text that is kept in any mode, without personal data and secrets unless everything is kept."""
        if self.mode == "full":
            return cut(text, limit)
        return cut(masked(encodable(text[: limit + _MARGIN]), "input"), limit)


def cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, cut between characters."""
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= limit else encoded[:limit].decode("utf-8", "ignore")


def _lines(parts: Iterable[tuple[str, str]], limit: int) -> str:
    """At most `limit` characters."""
    lines, room = [], limit
    for before, text in parts:
        line = f"{before}{text}"[:room]
        lines.append(line)
        room -= len(line) + 1
        if room <= 0:
            break
    return "\n".join(lines)[:limit]
