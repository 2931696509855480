"""What each key of `boundary_defense` and `datamarking` does."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx

import llmtrace_sdk as llmtrace
from llmtrace_sdk.core.datamarking import FIXED
from tests.transport.wire import URL, Wire, client

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench

FOUND = "the harbour has two piers"
ON = {"enabled": True}
MARKING = {"enabled": True, "shadow_mode": False}


def sent(bench: Bench, **settings: Any) -> list[str]:
    """The contents of the three messages as the provider gets them: system, tool, user."""
    llmtrace.configure(**settings)
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "tool", "tool_call_id": "c1", "content": FOUND},
        {"role": "user", "content": "How many piers are there?"},
    ]
    wire = Wire([b'{"choices":[]}'])
    with client(httpx, "sync", wire) as http:
        http.post(URL, json={"model": "gpt-4o", "messages": messages})
    return [message["content"] for message in json.loads(wire.sent[-1] or b"{}")["messages"]]


def enabled(bench: Bench) -> None:
    assert sent(bench)[1] == FOUND
    assert re.fullmatch(rf"<(llmtrace-boundary-\w+)>\n{FOUND}\n</\1>", sent(bench, boundary_defense=ON)[1])


def shadow_mode(bench: Bench) -> None:
    assert sent(bench, boundary_defense={**ON, "shadow_mode": True})[1] == FOUND


def wrap_roles(bench: Bench) -> None:
    _, tool, user = sent(bench, boundary_defense={**ON, "wrap_roles": ["user"]})
    assert tool == FOUND
    assert user.startswith("<llmtrace-boundary-")


def delimiter(bench: Bench) -> None:
    assert sent(bench, boundary_defense={**ON, "delimiter": "fence"})[1].startswith("<fence-")


def randomize_nonce(bench: Bench) -> None:
    """Either value loads, and neither takes the nonce away."""
    for value in (True, False):
        wrapped = sent(bench, boundary_defense={**ON, "randomize_nonce": value})[1]
        assert re.match(r"<llmtrace-boundary-[0-9a-f]{32}>", wrapped)


def inject_system_reminder(bench: Bench) -> None:
    assert "llmtrace-boundary-" in sent(bench, boundary_defense=ON)[0]
    assert sent(bench, boundary_defense={**ON, "inject_system_reminder": False})[0] == "Be brief."


def system_reminder_text(bench: Bench) -> None:
    assert "Mind the gap" in sent(bench, boundary_defense={**ON, "system_reminder_text": "Mind the gap: {tag}"})[0]


def marking_enabled(bench: Bench) -> None:
    assert " " not in sent(bench, datamarking=MARKING)[1]
    assert sent(bench, datamarking={**MARKING, "enabled": False})[1] == FOUND


def marking_shadow_mode(bench: Bench) -> None:
    assert sent(bench, datamarking={**MARKING, "shadow_mode": True})[1] == FOUND


def marker_kind(bench: Bench) -> None:
    fixed = sent(bench, datamarking={**MARKING, "marker_strategy": {"kind": "fixed"}})[1]
    assert fixed == FOUND.replace(" ", FIXED)
    randomized = sent(bench, datamarking={**MARKING, "marker_strategy": {"kind": "randomized"}})[1]
    assert " " not in randomized


EFFECTS: dict[str, Callable[[Bench], None]] = {
    "boundary_defense.enabled": enabled,
    "boundary_defense.shadow_mode": shadow_mode,
    "boundary_defense.wrap_roles": wrap_roles,
    "boundary_defense.delimiter": delimiter,
    "boundary_defense.randomize_nonce": randomize_nonce,
    "boundary_defense.inject_system_reminder": inject_system_reminder,
    "boundary_defense.system_reminder_text": system_reminder_text,
    "datamarking.enabled": marking_enabled,
    "datamarking.shadow_mode": marking_shadow_mode,
    "datamarking.marker_strategy.kind": marker_kind,
}
