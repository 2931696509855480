"""What tiers said a moment ago, so that the retry of a call gets the answer that its first attempt got."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.core.effects import Ask
    from llmtrace_sdk.core.tiers import Reply

REMEMBERED_S: Final = 60.0
"""How long, in seconds: longer than SDKs wait between two attempts."""

REMEMBERED: Final = 1024
"""How many questions; of each only a digest is kept, and the replies."""


class Memory:
    """The latest replies by what was asked. That a tier did not answer in time is remembered, too.

    `clock` is steady, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._replies: OrderedDict[bytes, tuple[float, tuple[Reply, ...]]] = OrderedDict()
        self._lock = Lock()

    def recall(self, key: bytes) -> tuple[Reply, ...] | None:
        """The replies to the same questions, if they are young enough."""
        with self._lock:
            since, replies = self._replies.get(key, (0.0, None))
        return replies if replies is not None and self._clock() - since < REMEMBERED_S else None

    def keep(self, key: bytes, replies: tuple[Reply, ...]) -> tuple[Reply, ...]:
        """Remember replies; gives them back."""
        with self._lock:
            self._replies.pop(key, None)
            self._replies[key] = self._clock(), replies
            if len(self._replies) > REMEMBERED:
                self._replies.popitem(last=False)
        return replies


def key_of(ask: Ask) -> bytes:
    """What tells questions: the tier, and the texts with their places."""
    total = hashlib.sha256(ask.tier.encode())
    for question in ask.questions:
        for part in (question.segment.pointer, question.segment.channel, question.segment.text, question.text):
            data = part.encode("utf-8", "surrogatepass")
            total.update(b"%d:" % len(data) + data)
    return total.digest()
