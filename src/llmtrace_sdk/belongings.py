"""What a runtime has beside its pipeline: a share in the state, actions, tiers. What is dear goes on after a reload.

Nothing of it is imported before settings ask for it.
"""

from __future__ import annotations

import os
import sys
import weakref
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from llmtrace_sdk import config as configuration
from llmtrace_sdk.faults import count_fault

if TYPE_CHECKING:
    from llmtrace_sdk.aftermath import Aftermath
    from llmtrace_sdk.config import Settings
    from llmtrace_sdk.policy_sources import Source
    from llmtrace_sdk.sharing import Sharing
    from llmtrace_sdk.tiers.desk import Desk

desks: Final[weakref.WeakSet[Desk]] = weakref.WeakSet()


_sources: list[Source] = []


def follow(place: Source | None) -> None:
    """Follow what is announced here, in place of where the settings say; from the next `configure` on."""
    _sources[:] = [] if place is None else [place]


def source() -> Source | None:
    """Where announcements are followed in place of where the settings say."""
    return _sources[0] if _sources else None


def aftermath(settings: Settings, before: Aftermath | None) -> Aftermath | None:
    """What follows calls; that of the settings before, where nothing about it has changed."""
    if not (settings.action_router.enabled or settings.alerts.enabled):
        return None
    if before is not None and before.is_for(settings):
        return before
    from llmtrace_sdk import aftermath, sharing

    state = sharing.standings(settings.state, count_fault)
    return aftermath.Aftermath(settings, state, secret=configuration.secret, on_fault=count_fault)


def aftermaths() -> list[Aftermath]:
    """All that there are in this process."""
    made = sys.modules.get("llmtrace_sdk.aftermath")
    return [] if made is None else made.existing()


def share(settings: Settings) -> Sharing:
    """The shared state of these settings."""
    from llmtrace_sdk import sharing

    return sharing.of(settings.state, count_fault)


def desk(settings: Settings, was: Settings | None, before: Desk | None) -> Desk | None:
    """Who asks the tiers; that of the settings before, where nothing about it has changed: it may hold a model."""
    if was is not None and (settings.ml, settings.judge) == (was.ml, was.judge):
        return before
    if not (settings.ml.enabled or settings.judge.enabled):
        return None
    from llmtrace_sdk.tiers import build

    made = build(settings.ml, settings.judge, secret=configuration.secret, on_fault=count_fault)
    desks.add(made)
    return made


@lru_cache(maxsize=1)
def content_key() -> bytes:
    """One key for the digests of captured content, so that a reload does not change them."""
    return os.urandom(32)
