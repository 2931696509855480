"""Changing what an event of a stream says, and not one byte more.

A delta's text is found again as a string value of the event's payload. Events that repeat what was said before (a last
one with the whole answer, say) are searched for what was taken out, and for placeholders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmtrace_sdk.core import rewrite, splice, vault
from llmtrace_sdk.core.splice import Edit
from llmtrace_sdk.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.splice import Token
    from llmtrace_sdk.core.vault import Vault
    from llmtrace_sdk.core.window import Held, Slot

# Where the formats put what a model says; it tells a text from another member that happens to have the same value.
_SAYING: Final = frozenset(
    "arguments content delta input output_text partial_json reasoning reasoning_content refusal response text thinking"
    " transcript value".split()
)
_REMEMBERED: Final = 4096
_FAILED: Final = "rewrite_failed"


class Rewriter:
    """Changes the events of one stream; `count` is how many changes were made.

    `known` has the originals of placeholders.
    """

    __slots__ = ("_forgets", "_taken", "count", "known")

    def __init__(self, known: Vault | None) -> None:
        self.known = known
        self._taken: dict[str, str] = {}
        self._forgets = False
        self.count = 0

    def took_out(self, value: str, mark: str) -> None:
        """A value was redacted: where it is said again, it is redacted again."""
        if len(self._taken) < _REMEMBERED:
            self._taken[value] = mark
        else:
            self._forgets = value not in self._taken or self._forgets

    def concerns(self, event: Held) -> bool:
        """Whether there may be something to change."""
        if self._taken or any(slot.edits for slot in event.slots):
            return True
        return self.known is not None and (vault.PLACEHOLDER.search(event.data) is not None or b"\\u" in event.data)

    def rewritten(self, event: Held, raw: bytes) -> bytes | None:
        """The event's bytes, changed; None when they stay. Raises `Unreadable` where a change cannot be made."""
        try:
            edits = self._edits(event)
        except Unreadable as fault:
            if fault.reason == _FAILED or any(slot.edits for slot in event.slots):
                raise
            return None
        if not edits:
            return None
        at = raw.rfind(event.data)
        if at < 0:
            raise Unreadable(_FAILED)
        self.count += sum(bool(edit.text) for changes in edits.values() for edit in changes)
        before, after = raw[:at], raw[at + len(event.data) :]
        event.data = splice.spliced(event.data, edits)  # as it goes on
        return before + event.data + after

    def _edits(self, event: Held) -> dict[Token, Sequence[Edit]]:
        """What to change in which string value; raises `Unreadable` where a delta's text cannot be found again."""
        texts = {token: splice.text_of(event.data, token) for token in splice.tokens(event.data)}
        edits: dict[Token, Sequence[Edit]] = {}
        own: set[Token] = set()
        lost: list[Slot] = []
        for slot in event.slots:
            token = _holding(slot.text, texts, own)
            if token is not None:
                own.add(token)
                if slot.edits:
                    edits[token] = sorted(slot.edits)
            elif slot.edits:
                lost.append(slot)
        changed = 0
        for token, text in texts.items():
            if token in own:
                continue
            if self._forgets and _is_said(token):
                raise Unreadable(_FAILED)
            if found := self._repeated(text, token):
                edits[token] = found
                changed += len(found)
        if sum(len(slot.edits) for slot in lost) > changed:
            raise Unreadable(_FAILED)
        return edits

    def _repeated(self, text: str, token: Token) -> list[Edit]:
        found: list[Edit] = []
        if self.known is not None:
            found += rewrite.originals(text, self.known, source=rewrite.is_source(_last_step(token)))
        for value, mark in self._taken.items():
            at = text.find(value)
            while at >= 0:
                found.append(Edit(at, at + len(value), mark))
                at = text.find(value, at + len(value))
        return _apart(found)


def _holding(said: str, texts: dict[Token, str], taken: set[Token]) -> Token | None:
    found = [token for token, text in texts.items() if text == said and token not in taken]
    return next(filter(_is_said, found), found[0] if found else None)


def _is_said(token: Token) -> bool:
    return _last_step(token) in _SAYING


def _last_step(token: Token) -> str:
    return token.pointer.rpartition("/")[2]


def _apart(edits: Iterable[Edit]) -> list[Edit]:
    """Without those that overlap an earlier one; of two that begin together the longer one stays."""
    kept: list[Edit] = []
    for edit in sorted(edits, key=lambda each: (each.start, -each.end)):
        if not kept or kept[-1].end <= edit.start:
            kept.append(edit)
    return kept
