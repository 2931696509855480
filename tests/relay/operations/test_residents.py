"""A relay's own process does not go through its rules and models again and again."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import asyncio, gc
from llmtrace_relay.app import create

async def live():
    sent = asyncio.Queue()
    told = iter(("lifespan.startup", "lifespan.shutdown"))
    alive = []

    async def receive():
        if sent.qsize():
            alive.append((gc.get_freeze_count(), gc.get_threshold()[0], len(gc.get_objects())))
        return {"type": next(told)}

    await create()({"type": "lifespan"}, receive, sent.put)
    return alive[0]

print(*asyncio.run(live()))
"""


def test_what_stays_is_left_alone(tmp_path: Path) -> None:
    given = {"LLMTRACE_STORAGE__PROFILE": "memory", "HOME": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=given, capture_output=True, text=True, timeout=60, check=True
    )
    frozen, threshold, left = map(int, told.stdout.split())
    assert frozen > 50_000
    assert left < frozen / 10
    assert threshold > gc.get_threshold()[0]
