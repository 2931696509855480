"""What the tests of following ask about it."""

from __future__ import annotations

import threading
from typing import Any

from llmtrace_sdk import following, runtime
from tests.waiting import becomes

BLOCK: dict[str, Any] = {"enforcement": {"mode": "block"}}
KEY = "key-of-the-relay-0123456789"


def mode() -> str:
    return runtime.current().settings.enforcement.mode


def follower() -> following.Follower:
    assert runtime.attending.follower is not None
    return runtime.attending.follower


def looks_again(times: int = 2) -> None:
    target = follower().looks + times
    becomes(True, lambda: follower().looks >= target)


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "llmtrace-policy"]
