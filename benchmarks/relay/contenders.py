"""What is measured: the upstream itself, a bare proxy, the relay in several settings, and the proxies of others."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import yaml

from . import litellm, rust
from .processes import LOAD_CORE, SERVER_CORE, free_port, server

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECT, BARE, OFF, STORING, LOG, BLOCK = "direct bare off storing log block".split()
LITELLM, RUST = "litellm", "rust"
TITLES: Final = {
    DIRECT: "the upstream itself",
    BARE: "bare proxy",
    OFF: "relay, guards and store off",
    STORING: "relay, guards off",
    LOG: "relay, mode log",
    BLOCK: "relay, mode block",
    LITELLM: f"LiteLLM proxy {litellm.VERSION}",
    RUST: "llmtrace-proxy (Rust)",
}
UNLIMITED: Final = {"rate_limiting": {"requests_per_second": 1_000_000, "burst_size": 1_000_000}}
"""Limits are counted, as they are by default, and never reached."""
UNGUARDED: Final = {"security_analysis": {"detectors": []}, "rate_limiting": {"enabled": False}}
SETTINGS: Final[dict[str, dict[str, Any]]] = {
    OFF: {**UNGUARDED, "enable_trace_storage": False},
    STORING: UNGUARDED,
    LOG: {**UNLIMITED, "enforcement": {"mode": "log"}},
    BLOCK: {**UNLIMITED, "enforcement": {"mode": "block"}},
}
OURS: Final = tuple(SETTINGS)
KEEPING: Final = (STORING, LOG, BLOCK)


@dataclass(frozen=True)
class Contender:
    """A server that takes the load. `pid`: the process whose CPU time counts."""

    name: str
    url: str
    pid: int


@contextmanager
def all_of(names: list[str]) -> Iterator[list[Contender]]:
    """Servers side by side before one upstream; the first is the upstream itself."""
    with ExitStack() as running, TemporaryDirectory(prefix="llmtrace-bench-") as scratch:

        def start(name: str, command: list[str], port: int, ready: str, core: int = SERVER_CORE) -> Contender:
            folder = Path(scratch) / name
            folder.mkdir(exist_ok=True)
            url = f"http://127.0.0.1:{port}"
            extra = litellm.ENVIRONMENT if name == LITELLM else {}
            pid = running.enter_context(server(command, url + ready, folder, core=core, environment=extra))
            return Contender(name, url, pid)

        port = free_port()
        direct = start(DIRECT, python("benchmarks.relay.upstream", port), port, "/stats", LOAD_CORE)
        started = [direct]
        for name in names:
            port, folder = free_port(), Path(scratch) / name
            folder.mkdir()
            started.append(start(name, command_of(name, port, direct.url, folder), port, READY.get(name, "/health")))
        yield started


READY: Final = {LITELLM: "/health/liveliness"}


def command_of(name: str, port: int, upstream: str, folder: Path) -> list[str]:
    """How a server is started; what it needs is written into the folder."""
    if name == BARE:
        return [*python("benchmarks.relay.bare", port), "--upstream", upstream]
    if name == LITELLM:
        return litellm.command(port, upstream, folder)
    if name == RUST:
        return rust.command(port, upstream, folder)
    return relay(port, upstream, folder, SETTINGS[name])


def relay(port: int, upstream: str, folder: Path, settings: dict[str, Any]) -> list[str]:
    """The relay with one worker, keeping what it keeps in the folder."""
    storage = {"database_path": str(folder / "llmtrace.db"), **settings.get("storage", {})}
    file = written({**settings, "storage": storage}, folder)
    return [
        *python("llmtrace_relay", port),
        *("--config", str(file), "--upstream", upstream, "--workers", "1"),
    ]


def python(module: str, port: int) -> list[str]:
    return [sys.executable, "-m", module, "--host", "127.0.0.1", "--port", str(port)]


def written(settings: dict[str, Any], folder: Path) -> Path:
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(settings), "utf-8")
    return file
