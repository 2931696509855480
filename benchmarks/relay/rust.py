"""LLMTrace's own proxy, the binary `llmtrace-proxy` of the Rust crate, where it is on PATH."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM: Final = "llmtrace-proxy"
# As the relay is: rules without a model, SQLite, no limit that the load would reach. Its file must have all of these.
SETTINGS: Final[dict[str, Any]] = {
    "timeout_ms": 60_000,
    "connection_timeout_ms": 5_000,
    "max_connections": 1_000,
    "enable_tls": False,
    "enable_security_analysis": True,
    "enable_trace_storage": True,
    "enable_streaming": True,
    "max_request_size_bytes": 50 << 20,
    "security_analysis_timeout_ms": 5_000,
    "trace_storage_timeout_ms": 10_000,
    "logging": {"level": "warn", "format": "text"},
    "rate_limiting": {
        "enabled": True,
        "requests_per_second": 1_000_000,
        "burst_size": 1_000_000,
        "window_seconds": 60,
    },
    "circuit_breaker": {
        "enabled": True,
        "failure_threshold": 10,
        "recovery_timeout_ms": 30_000,
        "half_open_max_calls": 3,
    },
    "health_check": {"enabled": False, "path": "/health", "interval_seconds": 60, "timeout_ms": 5_000, "retries": 3},
    "security_analysis": {"ml_enabled": False, "ml_preload": False},
    "auth": {"enabled": False},
}


def is_there() -> bool:
    return shutil.which(PROGRAM) is not None


def command(port: int, upstream: str, folder: Path) -> list[str]:
    """How it is started, with a configuration in the folder."""
    storage = {"profile": "lite", "database_path": str(folder / "llmtrace.db")}
    settings = {"listen_addr": f"127.0.0.1:{port}", "upstream_url": upstream, "storage": storage, **SETTINGS}
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(settings), "utf-8")
    return [PROGRAM, "--config", str(file)]
