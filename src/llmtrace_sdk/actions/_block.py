"""Counts one offence of the source of a call; at the last one allowed, the source is blocked for a while.

The call itself goes on. Whoever admits later calls looks for the block under the same key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmtrace_sdk.actions import sources
from llmtrace_sdk.actions._statuses import done, failed, skipped
from llmtrace_sdk.core.routing import label_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.actions import Parts, State
    from llmtrace_sdk.core.model import ActionStatus, CallRecord, Labels
    from llmtrace_sdk.core.routing import BlockKeys, BlockKind, BlockLimits, RouterOptions

CALLS_REMEMBERED: Final = 8_192
BLOCKED_SOURCE: Final = "blocked_source"
"""Reason of a decision that a block made (`core.admission.Limited`)."""


class Block:
    """The actions `block_ip`, `block_session` and `block_agent`; `kind` says which.

    A call counts once, however many findings it has and however often it is looked at: whoever looks before its record
    is there calls `count`, and the record is told the same.
    """

    quick = True
    enforces = True

    def __init__(self, kind: BlockKind, parts: Parts, limits: BlockLimits) -> None:
        self.name = f"block_{kind}"
        self._kind: BlockKind = kind
        self._router: RouterOptions = parts.router
        self._limits = limits
        self._keys: BlockKeys = parts.keys
        self._state: State | None = parts.state
        # two generations in place of a lock: a call is looked at by one thread after the other
        self._counted: dict[str, ActionStatus] = {}
        self._counted_before: dict[str, ActionStatus] = {}

    def run(self, record: CallRecord, source: str | None) -> ActionStatus:
        """Count the offence; the detail says whether the source is blocked now."""
        if record.decision.reason == BLOCKED_SOURCE:  # or a block would never end while somebody tries
            return skipped(self.name, "blocked_already")
        return self.count(record.id, record.labels, source)

    def count(self, call: str, labels: Labels, source: str | None) -> ActionStatus:
        """Count the offence of a call, once; `call` is the record's id. Asks the state, so it may wait for it."""
        told = self._counted.get(call) or self._counted_before.get(call)
        if told is None:
            if len(self._counted) >= CALLS_REMEMBERED:
                self._counted, self._counted_before = {}, self._counted
            self._counted[call] = told = self._count(labels, source)
        return told

    def _count(self, labels: Labels, source: str | None) -> ActionStatus:
        subject = self._subject(labels, source)
        if isinstance(subject, tuple):
            return skipped(self.name, subject[0])
        if self._state is None:
            return failed(self.name, "no_state")
        offence = self._keys.offence(self._kind, subject, labels.tenant, self._limits)
        try:
            standing = self._state.offend(offence)
        except Exception:  # noqa: BLE001 - a store may fail in any way; nothing is stopped for it
            return failed(self.name, "state_failed", 1)
        return done(self.name, "blocked" if standing.blocked else "counted", 1)

    def key(self, labels: Labels, source: str | None) -> str | None:
        """The key under which the source of a call would be blocked, for `Claims.blocks`; None if it never is."""
        subject = self._subject(labels, source)
        return None if isinstance(subject, tuple) else self._keys.block(self._kind, subject, labels.tenant)

    def _subject(self, labels: Labels, source: str | None) -> str | tuple[str]:
        """What is blocked; or, in a tuple, why nothing is."""
        if self._kind != "ip":
            return label_of(self._kind, labels) or (f"no_{self._kind}",)
        if source is None:
            return ("no_source",)
        spared = sources.spared(source, self._router)
        return sources.subject(source) if spared is None else (spared,)


def builder(kind: BlockKind) -> Callable[[Parts], Block]:
    """Makes the action of a kind."""

    def build(parts: Parts) -> Block:
        return Block(kind, parts, getattr(parts.router, f"{kind}_block"))

    return build
