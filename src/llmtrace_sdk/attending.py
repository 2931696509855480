"""Who looks after what settings came from: after a file that changes, and after policy that is announced."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from llmtrace_sdk import belongings
from llmtrace_sdk.faults import count_fault, faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.config import Settings
    from llmtrace_sdk.following import Follower
    from llmtrace_sdk.origin import Origin
    from llmtrace_sdk.reload import Watcher


class Attending:
    """At most one watcher and one follower, both of the `origin` that is in force. All but `carry_on` under a lock.

    `swap(origin, settings)` puts settings in force; with `at_once` before all is compiled that streams need.
    """

    def __init__(self, swap: Callable[..., None]) -> None:
        self.origin: Origin | None = None
        self.watcher: Watcher | None = None
        self.follower: Follower | None = None
        self._swap = swap

    def carry_on(self, origin: Origin) -> None:
        """Let another origin begin with the policy that is in force, where it follows the same place."""
        known = self.follower
        if known is not None and not origin.fixed and known.is_for(origin.settings, belongings.source()):
            origin.take_over(known.origin.policy)

    def attend(self, origin: Origin | None) -> Follower | None:
        """Look after this origin, and after no other; gives the follower that was told to stop."""
        self.origin = origin
        if self.watcher is not None:
            self.watcher.stop()
            self.watcher = None
        if origin is not None and origin.file is not None and origin.settings.reload_interval_s > 0:
            from llmtrace_sdk.reload import Watcher

            self.watcher = Watcher(origin, self._swap, count_fault, faults)
            self.watcher.start()
        before = self.follower
        self.follow(origin.settings if origin is not None else None)
        return before if before is not self.follower else None

    def follow(self, settings: Settings | None) -> None:
        """Follow what is announced where these settings of the origin say, and nothing else."""
        origin, known, own = self.origin, self.follower, belongings.source()
        if known is not None and settings is not None and known.origin is origin and known.is_for(settings, own):
            return
        if known is not None:
            known.stop()
            self.follower = None
        if origin is None or settings is None or origin.fixed or not (settings.relay or settings.state.url or own):
            return
        from llmtrace_sdk.following import Follower

        self.follower = Follower(origin, settings, partial(self._swap, at_once=True), own)
        self.follower.start()
