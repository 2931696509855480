"""Over TLS, with a certificate that is checked."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from llmtrace_sdk.core.claims import Claims
from llmtrace_sdk.errors import StateUnavailable
from llmtrace_sdk.state.redis import RedisState
from tests.programs import free_port

from .redis_server import RedisServer
from .test_semantics import ask, budget

if TYPE_CHECKING:
    from pathlib import Path


def test_the_certificate_counts(redis_binary: Path, tmp_path: Path, tag: str) -> None:
    openssl = shutil.which("openssl") or pytest.skip("no openssl to make a certificate with")
    key, certificate, port = tmp_path / "key", tmp_path / "certificate", free_port()
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    files = ["-keyout", key, "-out", certificate]
    subprocess.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *subject], check=True, stderr=-3)
    tls = ["--tls-port", str(port), "--tls-cert-file", key.with_name("certificate"), "--tls-key-file", key]
    with RedisServer(redis_binary, tmp_path, *tls, "--tls-auth-clients", "no") as server:
        if server.ask("CONFIG", "GET", "tls-port") == {}:
            pytest.skip("this Redis was built without TLS")
        url = f"rediss://127.0.0.1:{port}"
        trusting = RedisState(f"{url}?ssl_ca_certs={certificate}", timeout_s=5, connect_timeout_s=5)
        assert ask(trusting, "a", budget(tag, 1, 9)).granted

        async def run() -> bool:
            answer = await trusting.aadmit(Claims("a", (), (budget(tag, 1, 9),)))
            await trusting.aclose()
            return answer.again

        assert asyncio.run(run())
        stranger = RedisState(url, timeout_s=5, connect_timeout_s=5)
        with pytest.raises(StateUnavailable):
            ask(stranger, "a", budget(tag, 1, 9))
        stranger.close()
