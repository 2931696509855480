"""Following beside a file that changes, other settings, forks and late changes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx
import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import belongings, policy_sources, runtime
from tests.forking import forked
from tests.waiting import becomes

from .rig import BLOCK, follower, looks_again, mode, threads

if TYPE_CHECKING:
    from pathlib import Path

    from .relay import Relay

pytestmark = pytest.mark.usefixtures("quick")


def test_a_file_and_an_announcement_change_side_by_side(relay: Relay, tmp_path: Path) -> None:
    file = tmp_path / "llmtrace.yaml"
    text = "enforcement: {{mode: flag}}\nreload_interval_s: 0.05\nmax_request_size_bytes: {}\n"
    file.write_text(text.format(1_000))
    llmtrace.configure(file, relay=relay.url)
    relay.announce(BLOCK)
    becomes("block", mode)
    file.write_text(text.format(2_000))
    becomes(2_000, lambda: runtime.current().settings.max_request_size_bytes)
    assert mode() == "block"
    relay.announce({"enforcement": {"min_severity": "low"}})
    becomes("flag", mode)
    found = runtime.current().settings
    assert (found.enforcement.min_severity, found.max_request_size_bytes) == ("low", 2_000)


def test_a_file_may_say_what_is_followed(relay: Relay, tmp_path: Path) -> None:
    file = tmp_path / "llmtrace.yaml"
    file.write_text("reload_interval_s: 0.05\n")
    llmtrace.configure(file)
    assert runtime.attending.follower is None
    relay.announce(BLOCK)
    file.write_text(f"reload_interval_s: 0.05\nrelay: {relay.url}\n")
    becomes("block", mode)
    file.write_text("reload_interval_s: 0.05\nenforcement: {min_severity: low}\n")
    becomes([], threads)
    assert runtime.attending.follower is None


def test_configuring_anew_keeps_what_was_announced(relay: Relay) -> None:
    relay.announce(BLOCK)
    llmtrace.configure(relay=relay.url)
    becomes("block", mode)
    for _ in range(3):
        llmtrace.configure(relay=relay.url, max_request_size_bytes=1_000)
        assert mode() == "block"
    becomes(1, lambda: len(threads()))
    llmtrace.configure(relay=relay.url, enforcement={"mode": "flag"})
    assert mode() == "flag"
    llmtrace.configure()
    assert (mode(), runtime.attending.follower) == ("log", None)
    becomes([], threads)


def test_ready_settings_and_clients_of_their_own_are_left_alone(relay: Relay) -> None:
    relay.announce(BLOCK)
    llmtrace.configure(llmtrace.Settings(relay=relay.url))
    with httpx.Client() as client:
        llmtrace.instrument(client, config={"relay": relay.url})
    assert (runtime.attending.follower, threads(), relay.asked) == (None, [], [])


def test_a_forked_child_follows_for_itself(relay: Relay) -> None:
    llmtrace.configure(relay=relay.url)
    looks_again()
    ended_well = forked(_blocks_with_one_thread)
    relay.announce(BLOCK)
    becomes("block", mode)
    assert ended_well()
    looks_again(3)
    assert runtime.faults["policy"] == 0


def _blocks_with_one_thread() -> bool:
    becomes("block", mode)
    return len(threads()) == 1


def test_a_fork_in_the_middle_of_a_question(relay: Relay) -> None:
    """The parent's thread holds the lock of its connection; the child must not wait for it."""
    let_go = threading.Event()
    relay.instead = lambda _: let_go.wait(30)  # type: ignore[assignment, return-value]
    llmtrace.configure(relay=relay.url)
    becomes(1, lambda: len(relay.asked))
    assert forked(llmtrace.shutdown)()
    let_go.set()


def test_a_change_that_comes_too_late_changes_nothing(relay: Relay) -> None:
    llmtrace.configure(relay=relay.url)
    late = follower()
    made = llmtrace.configure(enforcement={"mode": "flag"})
    relay.announce(BLOCK)
    late.look()
    assert runtime.current() is made
    assert late.applied <= 1


def test_what_another_source_announced_does_not_outlive_it(relay: Relay) -> None:
    relay.announce(BLOCK)
    belongings.follow(policy_sources.FromRelay(relay.url, None))
    try:
        llmtrace.configure()
        becomes("block", mode)
    finally:
        belongings.follow(None)
    llmtrace.configure()
    assert (mode(), runtime.attending.follower) == ("log", None)
    becomes([], threads)
