"""Starting and stopping leaves nothing behind."""

from __future__ import annotations

import asyncio
import http.client
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import llmtrace_sdk.fake_provider as package
from llmtrace_sdk.fake_provider import FakeProvider, run, serve

ROOT = Path(package.__file__).parents[2]


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("in_thread", [False, True])
def test_context_serves_and_then_is_gone(in_thread: bool) -> None:
    with FakeProvider(in_thread=in_thread) as fake:
        assert fake.url == f"http://127.0.0.1:{fake.port}"
        assert fake.stats()["requests"] == 0
        assert (fake.pid is None) == in_thread
        held = socket.create_connection(("127.0.0.1", fake.port), timeout=5)
        held.sendall(b"GET /mcp HTTP/1.1\r\nhost: fake\r\n\r\n")
        assert held.recv(4096)
        port = fake.port
    assert not is_listening(port)
    assert "fake-provider" not in {thread.name for thread in threading.enumerate()}
    held.close()


def test_context_can_be_entered_again() -> None:
    fake = FakeProvider(in_thread=True)
    for _ in range(2):
        with fake:
            assert fake.stats()["requests"] == 0


def test_process_ends_when_its_input_does() -> None:
    command = [sys.executable, "-m", "llmtrace_sdk.fake_provider", "--until-stdin-closes"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline().startswith("fake provider on http://127.0.0.1:")
        child.stdin.close()
        assert child.wait(10) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM cannot be caught there")
def test_process_ends_quietly_when_terminated() -> None:
    command = [sys.executable, "-m", "llmtrace_sdk.fake_provider"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        connection = http.client.HTTPConnection("127.0.0.1", int(line.rpartition(":")[2]), timeout=5)
        connection.request("GET", "/v1/models")
        assert connection.getresponse().status == 200
        child.terminate()
        rest, errors = child.communicate(timeout=10)
        connection.close()
    assert (child.returncode, rest, errors) == (0, "", "")


def test_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        run(port=taken.getsockname()[1], announce=lambda line: None)


def test_serve_ends_with_its_task() -> None:
    async def scene() -> int:
        ready: asyncio.Queue[int] = asyncio.Queue()
        task = asyncio.create_task(serve(started=ready.put_nowait))
        port = await ready.get()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return port

    assert not is_listening(asyncio.run(scene()))


def test_importing_the_package_imports_no_server() -> None:
    code = "import sys, llmtrace_sdk.fake_provider as f; print('asyncio' in sys.modules, f.__all__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False ['FakeProvider', 'run', 'serve']\n"
    with pytest.raises(AttributeError, match="nothing"):
        package.nothing  # noqa: B018
