"""Flags that are changed at run time: from the database into every worker, and on to the processes that share state."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmtrace_relay.features import FEATURES, in_force, wrong
from llmtrace_relay.store import StoreUnavailable
from llmtrace_sdk import following, runtime, sharing
from llmtrace_sdk.errors import StateUnavailable
from llmtrace_sdk.faults import count_fault
from llmtrace_sdk.origin import Policy
from llmtrace_sdk.policy_sources import NotHeard

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_relay.store import Metadata
    from llmtrace_sdk.config import Settings

EVERY_S: Final = 0.2
"""How often the database is asked. Who follows a worker asks that one, so a change has two ways to go in a second."""

_OF_A_PROCESS = frozenset({"ml", "judge"})


class FlagSource:
    """Flags in the database as a policy to follow (`policy_sources.Source`); asked by one thread alone."""

    every_s: float = EVERY_S

    def __init__(self, store: Metadata) -> None:
        self._store = store
        self._ever = False

    def ask(self) -> Policy | None:
        """What is set at run time. Raises `NotHeard` where the database does not answer."""
        try:
            tree = tree_of(self._store.flags())
        except StoreUnavailable:
            raise NotHeard("the database does not answer") from None
        if not tree and not self._ever:
            return None
        self._ever = True
        return Policy(zlib.crc32(msgspec.json.encode(tree, order="sorted")), tree)

    def interrupt(self) -> None:
        """Its questions have short time-outs."""

    def close(self) -> None:
        """The database is not ours alone."""

    def forget(self) -> None:
        """Workers are started, not forked."""


class RuntimePolicies:
    """The settings in force in this worker, and what a change of flags leads to. `updated` is told of each flag that
    has changed.
    """

    def __init__(self, store: Metadata, updated: Callable[[str], None] = lambda _name: None) -> None:
        self._store = store
        self._updated = updated

    @property
    def settings(self) -> Settings:
        """What is in force, run-time changes included."""
        return runtime.current().settings

    def changed(self) -> None:
        """Put the flags of the database in force here, and tell the processes that share the state; other workers
        look for themselves.
        """
        before = in_force(self.settings)
        following.look_now()
        for name, value in in_force(self.settings).items():
            if value != before[name]:
                self._updated(name)
        options = self.settings.state
        if options.url is None:
            return
        tree = {group: values for group, values in tree_of(self._store.flags()).items() if group not in _OF_A_PROCESS}
        try:
            following.announce(sharing.state_of(options.url, options.timeout_ms / 1000), tree)
        except StateUnavailable as error:
            count_fault("policy", error)


def tree_of(flags: dict[str, Any]) -> dict[str, Any]:
    """Flags as a part of the settings; those that another version has left are passed over."""
    tree: dict[str, Any] = {}
    for name, value in sorted(flags.items()):
        if value is not None and wrong(name, value) is None:
            feature = FEATURES[name]
            tree.setdefault(feature.group, {})[feature.key] = value
    return tree
