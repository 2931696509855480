"""What must not be shown of a text: personal data and secrets."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from llmtrace_relay.texts import WITHHELD
from llmtrace_sdk import detectors
from llmtrace_sdk.core import redaction
from llmtrace_sdk.core.masking import is_sensitive, redact, without_keys
from llmtrace_sdk.core.model import Finding, Segment
from llmtrace_sdk.core.scan import Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.model import Phase

SEARCHED: Final = 1 << 20
"""Characters of one text."""

_DETECTORS: Final = ("data_exfiltration", "data_leakage", "pii_detected", "secret_leakage")
_FINDINGS_LIMIT: Final = 100_000


class Hidden(Struct, frozen=True):
    """What is known to be hidden in the texts of one direction of a call, by their pointers.

    Without `complete` there may be more, which is looked for; with `failed` nobody knows, and nothing is shown. `cut`:
    they are not all there, so that nobody can tell what their end is.
    """

    found: dict[str, list[Finding]] = field(default_factory=dict)
    complete: bool = False
    failed: bool = False
    cut: bool = False

    @classmethod
    def of(cls, findings: Sequence[Finding], *, complete: bool, failed: bool) -> Hidden:
        """What is to be hidden of what was found."""
        found: dict[str, list[Finding]] = {}
        for finding in filter(is_sensitive, findings):
            found.setdefault(finding.pointer, []).append(finding)
        return cls(found, complete, failed)

    def without(self, segment: Segment) -> str:
        """A text without what is known to be hidden in it."""
        found = self.found.get(segment.pointer)
        return redact(segment.text, found) if found else segment.text


UNKNOWN: Final = Hidden()


def masked(text: str, phase: Phase) -> str:
    """A text without what the detectors of personal data and secrets find in it, and without keys."""
    text = text[:SEARCHED]
    if not text:
        return text
    segment = Segment(text, "user" if phase == "input" else "assistant", "")
    found, failed = redaction.findings(_engine(), segment, phase)
    return WITHHELD if failed else without_keys(redact(text, filter(is_sensitive, found)))


@lru_cache(maxsize=1)
def _engine() -> Engine:
    """These detectors always look, also where others are configured; and no flood hides one finding from another."""
    return Engine(detectors.build(_DETECTORS), text_limit=SEARCHED, findings_limit=_FINDINGS_LIMIT)
