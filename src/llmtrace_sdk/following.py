"""Policy that somebody announces, followed by a process without a call; and how it is announced.

An announcement is a partial tree of settings (`config.announced` has the keys) with a version. It is looked for every
half second, in the shared state or at a relay, on a thread of its own that only a process with such a place has. What
cannot be used as a whole is refused as a whole. While nobody answers, the last good policy stays in force.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk import config as configuration
from llmtrace_sdk.config import announced
from llmtrace_sdk.errors import ConfigError
from llmtrace_sdk.faults import count_fault
from llmtrace_sdk.policy_sources import TOPIC, FromRelay, FromState, NotHeard, policy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llmtrace_sdk.config import Settings
    from llmtrace_sdk.origin import Origin, Policy
    from llmtrace_sdk.policy_sources import Source
    from llmtrace_sdk.typing import State

INTERVAL_S: Final = 0.5
PAUSE_S: Final = 0.02
"""At least, however long a look has taken."""

PROBLEMS_TOLD: Final = 5
COMPONENT: Final = "policy"

_log = logging.getLogger("llmtrace")
_followers: weakref.WeakSet[Follower] = weakref.WeakSet()


def announce(state: State, policy: Mapping[str, Any]) -> int:
    """Announce a policy to all processes with this state, in the place of the one before; gives its version.

    An empty one leaves every process with its own settings. Raises `ConfigError` with all that is wrong with it,
    `StateUnavailable` when the state cannot be asked; then it may have been announced all the same.
    """
    wrong = announced.problems(policy)
    if wrong:
        raise ConfigError(wrong)
    try:
        return state.publish(TOPIC, json.dumps({"policy": policy}, allow_nan=False, sort_keys=True).encode())
    except (TypeError, ValueError) as error:
        raise ConfigError([f"the policy cannot be announced: {error}"]) from None


def announcement(state: State) -> Policy | None:
    """What is announced in a state; None where nothing is. Raises `StateUnavailable`, and `NotHeard` for nonsense."""
    found = state.latest(TOPIC)
    return None if found is None else policy_of(found.value, found.version)


def look_now() -> None:
    """Look at once for what is announced, wherever something is followed."""
    for follower in list(_followers):
        follower.look()


class Follower:
    """A thread that looks for announcements every `INTERVAL_S` seconds, or as often as the source says,
    until `stop()`.

    It looks at `source`, of those who run this process, or else where the settings say. `swap(origin, settings)` puts
    in force what `origin` makes of a policy; it raises `ConfigError` when that cannot be used. Whatever goes wrong is
    counted in `faults["policy"]` and logged when it begins and when it ends, without values.
    `looks`, `applied` and `refused` count.
    """

    def __init__(
        self,
        origin: Origin,
        settings: Settings,
        swap: Callable[[Origin, Settings], None],
        source: Source | None = None,
    ) -> None:
        self.origin = origin
        self.looks = self.applied = self.refused = 0
        self._own = source
        self._allowed = announced.MAY_BE_SWITCHED if source is not None else announced.MAY_BE_ANNOUNCED
        self._place = ("this relay",) if source is not None else _place_of(settings)
        self._source = source or _source_of(settings)
        self._swap = swap
        self._refused: Policy | None = None
        self._trouble = ""
        self._looking = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def is_for(self, settings: Settings, source: Source | None) -> bool:
        """Whether it looks where these would have it look."""
        return source is self._own and (source is not None or self._place == _place_of(settings))

    def start(self) -> None:
        """Start looking."""
        thread = threading.Thread(target=self._run, args=(self._stop,), name="llmtrace-policy", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the interpreter is shutting down, or has no threads left
            count_fault(COMPONENT, error)
            return
        self._thread = thread
        _followers.add(self)

    def stop(self) -> None:
        """Look no more; a look that has begun changes nothing any more. Does not wait."""
        self._stop.set()
        _followers.discard(self)
        self._source.interrupt()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the thread."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def look(self) -> None:
        """Put in force what is announced, if it is new."""
        with self._looking:
            if not self._stop.is_set():
                self._look()

    def _look(self) -> None:
        self.looks += 1
        try:
            policy = self._source.ask()
        except NotHeard as error:
            self._not_heard(error)
            return
        self._heard()
        if policy is not None and policy not in (self.origin.policy, self._refused):
            with self.origin.busy:
                if not self._stop.is_set():
                    self._apply(policy)

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - never hurt the host
                count_fault(COMPONENT, error)
            every_s = min(INTERVAL_S, self._source.every_s)
            stop.wait(max(every_s - (time.monotonic() - began), PAUSE_S))
        with self._looking:
            self._source.close()

    def _apply(self, policy: Policy) -> None:
        strangers = list(announced.strangers(policy.tree, self._allowed))
        if strangers:
            self._refuse(policy, ConfigError(strangers))
            return
        try:
            settings = self.origin.with_exporters(self.origin.with_policy(policy).settings)
            self._swap(self.origin, settings)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is not to be tried again and again
            self._refuse(policy, error)
            return
        self.origin.keep(settings, policy=policy)
        self._refused = None
        self.applied += 1
        _log.info("llmtrace: the policy announced at %s is in force, policy %s", self._place[0], settings.policy_hash)

    def _refuse(self, policy: Policy, error: Exception) -> None:
        self.refused += 1
        self._refused = policy
        count_fault(COMPONENT, error, told=True)
        problems = error.problems if isinstance(error, ConfigError) else (type(error).__name__,)
        told = "; ".join(map(configuration.without_values, problems[:PROBLEMS_TOLD]))
        more = f"; and {len(problems) - PROBLEMS_TOLD} more" if len(problems) > PROBLEMS_TOLD else ""
        _log.warning("llmtrace: the policy announced at %s is refused: %s%s", self._place[0], told, more)

    def _not_heard(self, error: NotHeard) -> None:
        """Say once why the last good policy stays in force."""
        if self._stop.is_set():
            return
        count_fault(COMPONENT, error, told=True)
        trouble, self._trouble = self._trouble, str(error)
        if trouble != self._trouble:
            _log.warning("llmtrace: no policy from %s: %s; the last good one stays in force", self._place[0], error)

    def _heard(self) -> None:
        if self._trouble:
            self._trouble = ""
            _log.info("llmtrace: policy comes from %s again", self._place[0])

    def _after_fork(self) -> None:
        self._source.forget()
        self._looking = threading.Lock()
        if not self._stop.is_set():
            self._stop = threading.Event()  # the parent's may have been locked at that moment
            self.start()


def _place_of(settings: Settings) -> tuple[str, ...]:
    """Where it is announced: the relay, if there is one, or the state. The first word is for people."""
    if settings.relay is not None:
        return ("the relay", settings.relay, settings.relay_key_env)
    return ("the shared state", str(settings.state.url), str(settings.state.timeout_ms))


def _source_of(settings: Settings) -> Source:
    if settings.relay is not None:
        return FromRelay(settings.relay, configuration.secret(settings.relay_key_env))
    from llmtrace_sdk import sharing

    return FromState(sharing.state_of(settings.state.url, settings.state.timeout_ms / 1000))


def _after_fork_in_child() -> None:
    for follower in list(_followers):
        follower._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
