"""The texts of a call in the form in which they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from llmtrace_sdk.core.masking import encodable, is_sensitive, redact, without_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.model import CallRecord, Finding, Phase, Segment

Capture = Literal["none", "redacted", "full"]
# A key that begins before the limit must be seen whole to be known as one.
_MARGIN: Final = 4_096
WITHHELD: Final = "[not kept: it was not wholly inspected]"
_ROLES: Final = {"system": "system", "assistant": "assistant", "tool": "tool", "data": "tool"}


class Texts:
    """Gives the texts of one call, bounded: none, without personal data and secrets, or as they were.

    `redacted` needs all findings: a text that was not wholly inspected is withheld. `limit_bytes` is for the prompt,
    and again for the answer.
    """

    __slots__ = ("_capture", "_findings", "_limit", "_record", "_whole")

    def __init__(self, record: CallRecord, capture: Capture, limit_bytes: int) -> None:
        self._record = record
        self._capture: Capture = capture if record.content is not None else "none"
        self._limit = limit_bytes
        self._whole = _inspected(record)
        self._findings: dict[tuple[Phase, str], list[Finding]] = {}
        if capture == "redacted":
            for finding in filter(is_sensitive, record.findings):
                self._findings.setdefault((finding.phase, finding.pointer), []).append(finding)

    def prompt(self) -> str:
        """All that was said to the model, a line for each piece: `role: text`."""
        content = self._record.content
        if content is None or self._capture == "none":
            return ""
        said = [segment for segment in content.input if segment.kind != "tool_definition"]
        return self._joined(said, "input", roles=True)

    def response(self) -> str | None:
        """All that the model said; None where nothing is kept."""
        content = self._record.content
        if content is None or self._capture == "none" or not self._record.upstream_called:
            return None
        said = [segment for segment in content.output if segment.kind in ("text", "refusal")]
        return self._joined(said, "output", roles=False)

    def shown(self, segment: Segment, phase: Phase) -> str | None:
        """One text; None where none are kept."""
        if self._capture == "none":
            return None
        if self._capture == "full":
            return encodable(segment.text[: self._limit])
        if not self._whole:
            return WITHHELD
        clean = redact(segment.text, self._findings.get((phase, segment.pointer), ()))
        return without_keys(encodable(clean[: self._limit + _MARGIN]))[: self._limit]

    def _joined(self, segments: Sequence[Segment], phase: Phase, *, roles: bool) -> str:
        lines: list[str] = []
        room = self._limit
        for segment in segments:
            if room <= 0:
                break
            text = self.shown(segment, phase) or ""
            lines.append(f"{_ROLES.get(segment.channel, 'user')}: {text}" if roles else text)
            room -= len(lines[-1]) + 1
        return _cut("\n".join(lines), self._limit)


def _inspected(record: CallRecord) -> bool:
    reasons = record.coverage.reasons
    if record.decision.degraded or record.coverage.state == "unscanned":
        return False
    return not any(reason.endswith(("_limit", "_fault", "_failed")) for reason in reasons)


def _cut(text: str, limit: int) -> str:
    encoded = text.replace("\0", "").encode("utf-8", "replace")
    return encoded[:limit].decode("utf-8", "ignore") if len(encoded) > limit else encoded.decode()
