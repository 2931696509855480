"""Where the settings in force come from, so that they can be made anew when a part of that changes."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llmtrace_sdk import config as configuration
from llmtrace_sdk.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from llmtrace_sdk.config import Loaded, Settings

FORK_WAIT_S: Final = 2.0

_origins: weakref.WeakSet[Origin] = weakref.WeakSet()


class Policy(NamedTuple):
    """What was announced: a partial tree of settings; a later one has another version."""

    version: int
    tree: Mapping[str, Any]


NO_POLICY: Final = Policy(-1, {})


class Origin:
    """What `configure` was given, and the last good state of what changes by itself: a file, and what is announced.

    `busy` is held while settings are made of them and put in force: two changes at once would undo each other. Ready
    settings are `fixed`: nothing lies over them. `settings` are the latest that were made.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, Any] | Settings | None,
        keywords: Mapping[str, Any],
        found: Loaded,
    ) -> None:
        self.busy = threading.Lock()
        self.fixed = isinstance(config, configuration.Settings)
        self.file: Path | None = found.file
        self.settings = found.settings
        self.policy = NO_POLICY
        self.content = found.content
        self._given: Mapping[str, Any] = config if isinstance(config, Mapping) else {}
        self._keywords = dict(keywords)
        self._telemetry = found.settings.telemetry
        _origins.add(self)

    def with_content(self, content: bytes) -> Loaded:
        """What another content of the file makes of them. Raises `ConfigError`, without the values that were given."""
        return self._read(content, self.policy)

    def with_policy(self, policy: Policy) -> Loaded:
        """What an announcement makes of them. Raises as `with_content`."""
        return self._read(self.content, policy)

    def keep(self, settings: Settings, *, content: bytes | None = None, policy: Policy | None = None) -> None:
        """What was made of a content or a policy is in force."""
        self.settings = settings
        self.content = self.content if content is None else content
        self.policy = policy or self.policy

    def take_over(self, policy: Policy) -> None:
        """Begin with what was announced before, if it can be used here."""
        try:
            self.keep(self.with_policy(policy).settings, policy=policy)
        except ConfigError:
            return  # whoever asks for announcements will be told it anew, and say why not

    def with_exporters(self, settings: Settings) -> Settings:
        """Exporters are set up once in a process: `otlp` and `service_name` stay as they were."""
        old, new = self._telemetry, settings.telemetry
        if (old.otlp, old.service_name) == (new.otlp, new.service_name):
            return settings
        return replace(settings, telemetry=replace(new, otlp=old.otlp, service_name=old.service_name))

    def _read(self, content: bytes, policy: Policy) -> Loaded:
        given = self.file or self._given
        return configuration.read(
            given, self._keywords, content=content if self.file else None, announced=policy.tree, quiet=True
        )


_held: list[threading.Lock] = []


def _before_fork() -> None:
    """Let a change that is under way end first: its locks would stay locked in the child."""
    _held.extend(origin.busy for origin in list(_origins) if origin.busy.acquire(timeout=FORK_WAIT_S))


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().release()


def _after_fork_in_child() -> None:
    _held.clear()
    for origin in list(_origins):
        origin.busy = threading.Lock()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
