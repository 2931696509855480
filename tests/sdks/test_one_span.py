"""SDKs that trace themselves: their span or ours, never both."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.matrix
ROOT = Path(__file__).parents[2]
ROWS = ["openai", "anthropic", "anthropic-async", "anthropic-bedrock", "google", "mistral", "pydantic-ai", "instructor"]


def test_one_inference_span_for_each_call() -> None:
    program = [sys.executable, "-W", "ignore", "-m", "tests.sdks.count_spans", *ROWS]
    done = subprocess.run(
        program, capture_output=True, text=True, timeout=100, cwd=Path(__file__).parents[2], check=True
    )
    counts = json.loads(done.stdout)
    assert {"openai", "anthropic", "google"} <= counts.keys() <= set(ROWS)
    assert set(counts.values()) == {1}
