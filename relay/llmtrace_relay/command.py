"""`llmtrace relay`: checks the configuration, says where it listens, and serves."""

from __future__ import annotations

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from llmtrace_relay import logs, metric_folder
from llmtrace_relay.ending import EndingProtocol
from llmtrace_relay.listening import refusal_to_listen
from llmtrace_relay.workers import Workers
from llmtrace_sdk import config
from llmtrace_sdk.config.relay import address_of
from llmtrace_sdk.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from llmtrace_sdk.config import Settings

APPLICATION: Final = "llmtrace_relay.app:create"
LOOP: Final = "llmtrace_relay.loops:Loop"
KEEP_ALIVE_S: Final = 75
BACKLOG: Final = 2_048
SHORTEST_KEY: Final = 16
_TRY: Final = (
    """-H 'content-type: application/json' -H "authorization: Bearer $OPENAI_API_KEY" """
    """-d '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}'"""
)


def run(options: argparse.Namespace) -> int:
    """Serve until told to end; gives the exit status. Raises `ConfigError`."""
    _to_environment(options)
    settings = config.load()
    problems = _problems(settings, options.workers)
    if problems:
        raise ConfigError(problems)
    logs.setup(settings.logging)
    server = uvicorn.Config(APPLICATION, workers=options.workers, **_server(settings))
    listening = server.bind_socket()
    listening.listen(BACKLOG)  # who reads the address and calls at once waits for the workers, and is not refused
    sys.stdout.write(_welcome(settings, listening.getsockname()[1]) + "\n")
    sys.stdout.flush()
    if options.workers == 1:
        # the server raises the signal that ended it again when it is done, and that is no failure
        signal.signal(signal.SIGTERM, _end)
        signal.signal(signal.SIGINT, _end)
        uvicorn.Server(server).run(sockets=[listening])
        return 0
    folder = metric_folder.prepare()
    try:
        Workers(server, listening).run()
    finally:
        metric_folder.remove(folder)
    return 0


def _end(*_: object) -> None:
    sys.exit(0)


def _to_environment(options: argparse.Namespace) -> None:
    """Workers are processes of their own, and read what we read."""
    if options.config is not None:
        os.environ["LLMTRACE_CONFIG"] = str(Path(options.config).absolute())
    if options.upstream is not None:
        os.environ["LLMTRACE_UPSTREAM_URL"] = options.upstream
    if options.host is not None or options.port is not None:
        host, port = address_of(config.load().listen_addr) or ("127.0.0.1", 8080)
        host, port = options.host or host, port if options.port is None else options.port
        os.environ["LLMTRACE_LISTEN_ADDR"] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _problems(settings: Settings, workers: int) -> list[str]:
    found = []
    refusal = refusal_to_listen(settings)
    if refusal is not None:
        found.append(refusal)
    key = settings.auth.admin_key
    if settings.auth.enabled and key is not None and len(key) < SHORTEST_KEY:
        found.append(f"auth.admin_key: less than {SHORTEST_KEY} characters; `openssl rand -hex 32` makes a good one")
    if workers < 1:
        found.append(f"--workers: {workers} serve nobody; give at least 1")
    if workers > 1 and settings.storage.profile == "memory":
        found.append("storage.profile: memory is each worker's own; use lite or production with several workers")
    return found


def _server(settings: Settings) -> dict[str, Any]:
    host, port = address_of(settings.listen_addr) or ("127.0.0.1", 8080)
    tls = {"ssl_certfile": settings.tls_cert_file, "ssl_keyfile": settings.tls_key_file} if settings.enable_tls else {}
    return {
        "factory": True,
        "host": host,
        "port": port,
        "http": EndingProtocol,
        "loop": LOOP if find_spec("uvloop") else "auto",
        "ws": "websockets-sansio",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        "lifespan": "on",
        "backlog": BACKLOG,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": round(settings.shutdown.timeout_seconds),
        **tls,
    }


def _welcome(settings: Settings, port: int) -> str:
    """Where it is, what it does, and a line to try."""
    host, _ = address_of(settings.listen_addr) or ("127.0.0.1", 8080)
    shown = f"[{host}]" if ":" in host else host
    base = f"{'https' if settings.enable_tls else 'http'}://{shown}:{port}"
    stores = {
        "lite": f"SQLite in {settings.storage.database_path}",
        "memory": "in memory only",
        "production": "PostgreSQL",
    }
    kept = stores[settings.storage.profile] if settings.enable_trace_storage else "nothing is stored"
    key = ' -H "x-llmtrace-token: $LLMTRACE_KEY"' if settings.auth.enabled else ""
    return "\n".join(
        (
            f"llmtrace relay on {base} -> {settings.upstream_url}",
            f"  policy    {settings.enforcement.mode}, {settings.policy_hash}",
            f"  calls     {kept}",
            f"  look      {base}/ui/",
            f"  API       {base}/api/v1/traces",
            f"  try       curl {base}/v1/chat/completions{key} {_TRY}",
        )
    )
