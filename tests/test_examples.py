"""The examples are run as a newcomer would run them, and stay short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXPECTED = {
    "openai_chat": ["answer: ", "record: complete allow", "blocked: prompt_injection.high", "record: blocked block"],
    "anthropic_messages": ["answer: ", "stream: ", "record: ferry-1 chat"],
    "google_genai": ["answer: ", "async: ", "record: gcp.gen_ai generate_content scanned"],
    "langchain_chat": ["answer: ", "stream: ", "record: flag ['pii_detected']", "record: allow []"],
    "redaction": ["stream: Write to jane.doe@example.org", "told:   Write to [REDACTED:pii_detected]"],
    "relay": ["answered: The ferry", "refused: prompt_injection:1.00", "kept: blocked 403 80", "kept: complete 200"],
    "stream_cut": ["... cut: secret_leakage", "record: blocked, stream blocked"],
    "async_streaming": ["record: reader-2 complete", "record: impatient abandoned"],
}


def test_every_example_is_known_here() -> None:
    assert {file.stem for file in (ROOT / "examples").glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_example(name: str) -> None:
    file = ROOT / "examples" / f"{name}.py"
    assert len(file.read_text("utf-8").splitlines()) <= 40
    run = subprocess.run([sys.executable, "-W", "error", file], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    for line in EXPECTED[name]:
        assert line in run.stdout
