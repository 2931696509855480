"""What was found in a text before: conversations say everything again at every turn, and agents at every step.

A text is known by a keyed digest; nothing of it is kept but what was found, and where. Detectors are pure, so the same
text in the same place has the same findings.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from llmtrace_sdk.core.model import Finding

if TYPE_CHECKING:
    from llmtrace_sdk.core.model import Phase, Segment

GENERATION: Final = 4_096
SHORTEST_CHARS: Final = 32
"""Shorter texts are judged as quickly as looked up."""

FINDINGS_KEPT: Final = 16
"""Texts with more findings are judged anew: floods are not what is said again."""


class Known(Struct, frozen=True):
    """What is known of a text. `judged` is its injection score, None where it was not judged for that; `score` the
    highest of any reading.
    """

    findings: tuple[Finding, ...]
    judged: float | None
    score: float


class Memo:
    """Remembers up to twice `GENERATION` texts, those that were asked for last. Safe from any thread.

    `key` makes the digests: 16 to 64 random bytes, so that nobody can find two texts that are taken for one.
    """

    __slots__ = ("_before", "_key", "_now")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._now: dict[bytes, Known] = {}
        self._before: dict[bytes, Known] = {}

    def key_of(self, segment: Segment, phase: Phase) -> bytes | None:
        """What a text is known by, with all that its judgement depends on; None where it is not worth it."""
        if len(segment.text) < SHORTEST_CHARS:
            return None
        place = f"{phase}\0{segment.channel}\0{segment.kind}\0{segment.name}\0{segment.text}"
        # keyed (RFC 7693), and half the time of an HMAC by OpenSSL
        return blake2b(place.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).digest()

    def recall(self, key: bytes) -> Known | None:
        """What is known of a text."""
        found = self._now.get(key)
        if found is None:
            found = self._before.get(key)
            if found is not None:
                self.keep(key, found)
        return found

    def keep(self, key: bytes, known: Known) -> None:
        """Remember what was found in a text."""
        if len(known.findings) > FINDINGS_KEPT:
            return
        if len(self._now) >= GENERATION:
            # two threads may both do so: then some texts are judged anew, and nothing else
            self._now, self._before = {}, self._now
        self._now[key] = known
