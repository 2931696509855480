"""`llmtrace demo` and `llmtrace fake-provider`, as a newcomer runs them."""

from __future__ import annotations

import signal
import subprocess
import sys

import httpx2

from .integration.otlp_receiver import OTLPReceiver

DEMO = """
import sys
from llmtrace_sdk.commands import demo
demo.OTLP_ADDRESS, demo.OTLP_URL = ("127.0.0.1", int(sys.argv[1])), f"http://127.0.0.1:{sys.argv[1]}"
sys.exit(demo.main())
"""
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "no_proxy": "127.0.0.1", "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}


def demo(port: int) -> str:
    command = [sys.executable, "-W", "error", "-c", DEMO, str(port)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=ENVIRONMENT)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def test_the_demo_shows_five_calls_and_exports_where_somebody_listens() -> None:
    with OTLPReceiver() as receiver:
        out = demo(int(receiver.otlp_endpoint.rpartition(":")[2]))
        names = [span.name for span in receiver.spans()]
    assert names.count("chat gpt-4o-mini") == 5
    assert "llmtrace.guard input" in names
    assert f"Exported to {receiver.otlp_endpoint}" in out
    for line in (
        "decision  allow",
        "decision  block  because of prompt_injection.high",
        "never sent",
        "decision  flag  because of secret_leakage.critical",
        "event llmtrace.finding",
        "answer    Write to jane.doe@example.org.",
        "decision  redact  because of pii_detected.medium",
        "µs added",
    ):
        assert line in out
    assert out.count("span      chat gpt-4o-mini") == 5
    assert max(map(len, out.splitlines())) <= 80


def test_the_demo_says_so_when_nobody_listens() -> None:
    assert "nothing was exported" in " ".join(demo(9).split())


def test_the_fake_provider_on_the_command_line() -> None:
    command = [sys.executable, "-m", "llmtrace_sdk.cli", "fake-provider", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().rpartition(" ")[2].strip()
        answer = httpx2.post(f"{url}/api/chat", json={"model": "m", "messages": [], "stream": False})
        assert answer.json()["message"]["content"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
