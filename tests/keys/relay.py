"""What the keys of the relay do."""

from __future__ import annotations

import json
import logging
import os
import ssl
import threading
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import llmtrace_sdk as llmtrace
from llmtrace_relay import command, logs
from llmtrace_relay.callers import UNKNOWN_TENANT
from llmtrace_relay.listening import refusal_to_listen
from llmtrace_relay.store.opening import open_store, spool_folder
from llmtrace_relay.store.retention import Retention
from llmtrace_relay.store.writer import Writer
from llmtrace_sdk import config
from tests.actions.conftest import _certificate
from tests.relay.inside import InsideRelay
from tests.relay.raw import RawUpstream, ask, post
from tests.relay.store.making import span as made

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from llmtrace_sdk.config import Settings

    from .bench import Bench

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
QUESTION = json.dumps({"model": "gpt-4", "messages": [{"role": "user", "content": "Hello my friend"}]}).encode()
CHAT = "/v1/chat/completions"
DAY_US = 86_400_000_000


def load(**settings: Any) -> Settings:
    return config.load(settings)


def refused(match: str, **settings: Any) -> None:
    with pytest.raises(llmtrace.ConfigError, match=match):
        load(**settings)


def spans(relay: InsideRelay) -> list[Any]:
    return relay.until(lambda: httpx.get(f"{relay.url}/api/v1/spans", verify=False).json()["data"])


def default_tenant_id(bench: Bench) -> None:
    own = str(uuid.uuid4())
    for given, tenant in ((own, own), (None, UNKNOWN_TENANT)):
        with served(), InsideRelay(bench.folder, upstream_url=served.url, default_tenant_id=given) as relay:
            ask(relay.url, post(CHAT, QUESTION))
            assert spans(relay)[0]["tenant_id"] == tenant
    refused("default_tenant_id: 'me' is no UUID", default_tenant_id="me")


class Served:
    """An upstream whose behaviour can be set, for as long as it is entered."""

    def __init__(self) -> None:
        self.url = ""
        self.act: Callable[[socket.socket], None] = lambda connection: connection.sendall(ANSWER)
        self._running: RawUpstream | None = None

    def __call__(self, act: Callable[[socket.socket], None] | None = None) -> Served:
        made = self
        made.act = act or (lambda connection: connection.sendall(ANSWER))
        return made

    def __enter__(self) -> RawUpstream:
        self._running = RawUpstream(lambda connection, _: self.act(connection)).__enter__()
        self.url = self._running.url
        return self._running

    def __exit__(self, *exc: object) -> None:
        assert self._running is not None
        self._running.__exit__(*exc)


served = Served()


def timeout_ms(bench: Bench) -> None:
    with (
        served(lambda _: time.sleep(0.4)),
        InsideRelay(bench.folder, upstream_url=served.url, timeout_ms=100) as relay,
    ):
        assert ask(relay.url, post(CHAT, QUESTION)).line.startswith("HTTP/1.1 502")
    refused("timeout_ms: 0 is less than 1", timeout_ms=0)


def connection_timeout_ms(_bench: Bench) -> None:
    import asyncio

    from llmtrace_relay.upstream import AiohttpClient

    async def connect_s() -> float | None:
        client = AiohttpClient(load(connection_timeout_ms=1234))
        await client.close()
        return client._session.timeout.sock_connect

    assert asyncio.run(connect_s()) == 1.234
    refused("connection_timeout_ms", connection_timeout_ms=0)


def idle_timeout_ms(bench: Bench) -> None:
    def act(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n12345")
        time.sleep(0.5)
        connection.sendall(b"6789")

    for idle_ms, broken in ((200, True), (5_000, False)):
        with served(act), InsideRelay(bench.folder, upstream_url=served.url, idle_timeout_ms=idle_ms) as relay:
            try:
                body = ask(relay.url, post(CHAT, QUESTION)).body
            except Exception:
                body = b""
            assert (body != b"123456789") is broken


def max_connections(bench: Bench) -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    def act(connection: socket.socket) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.05)
        with lock:
            under_way -= 1
        connection.sendall(ANSWER)

    with served(act), InsideRelay(bench.folder, upstream_url=served.url, max_connections=2) as relay:
        threads = [threading.Thread(target=ask, args=(relay.url, post(CHAT, QUESTION))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 2


def tls(bench: Bench) -> None:
    pem = bench.folder / "relay.pem"
    pem.write_bytes(_certificate())
    keys = {"enable_tls": True, "tls_cert_file": str(pem), "tls_key_file": str(pem)}
    with InsideRelay(bench.folder, **keys) as relay:
        context = ssl.create_default_context(cafile=str(pem))
        context.check_hostname = False
        assert relay.url.startswith("https://")
        assert httpx.get(f"{relay.url}/live", verify=context).status_code == 200
    for missing in ("tls_cert_file", "tls_key_file"):
        refused("enable_tls: needs", **{**keys, missing: None})


def enable_trace_storage(bench: Bench) -> None:
    with served(), InsideRelay(bench.folder, upstream_url=served.url, enable_trace_storage=False) as relay:
        ask(relay.url, post(CHAT, QUESTION))
        assert llmtrace.flush(20)
        assert httpx.get(f"{relay.url}/api/v1/spans").json()["total"] == 0


def profile(bench: Bench) -> None:
    bench.monkeypatch.chdir(bench.folder)
    open_store(load(storage={"profile": "memory"}).storage).close()
    assert not list(bench.folder.glob("*.db"))
    open_store(load(storage={"profile": "lite"}).storage).close()
    assert list(bench.folder.glob("llmtrace.db"))
    refused("storage.profile", storage={"profile": "cloud"})


def database_path(bench: Bench) -> None:
    file = bench.folder / "calls.db"
    open_store(load(storage={"database_path": str(file)}).storage).close()
    assert file.exists()


def postgres_url(_bench: Bench) -> None:
    from llmtrace_relay.store import StoreUnavailable

    url = "postgresql://me:hush@127.0.0.1:1/x"
    with pytest.raises(StoreUnavailable) as caught:
        open_store(load(storage={"profile": "production", "postgres_url": url}).storage)
    assert "hush" not in str(caught.value)
    refused("storage.postgres_url: must begin with postgresql://", storage={"postgres_url": "mysql://x"})


def spool_path(bench: Bench) -> None:
    given = load(storage={"spool_path": str(bench.folder / "here")}).storage
    assert spool_folder(given) == bench.folder / "here"
    assert spool_folder(load(storage={"database_path": "/x/calls.db"}).storage).name == "calls.db.spool"


def spool_max_bytes(bench: Bench) -> None:
    class Away:
        def put(self, _spans: Any) -> None:
            from llmtrace_relay.store import StoreUnavailable

            raise StoreUnavailable("away")

    for limit, dropped in ((1 << 16, True), (8 << 20, False)):
        options = load(storage={"spool_max_bytes": limit}).storage
        writer = Writer(Away(), bench.folder / str(limit), options.spool_max_bytes, lambda *_: None)  # type: ignore[arg-type]
        for _number in range(200):
            writer.put(made(span_id=str(uuid.uuid4()), prompt=os.urandom(1_000).hex()))
        assert (writer.dropped > 0) is dropped
        writer.close(0.0)
    refused("storage.spool_max_bytes", storage={"spool_max_bytes": 1})


def capture(bench: Bench) -> None:
    for given, text in (("none", ""), ("full", "user: Hello my friend"), ("redacted", "user: Hello my friend")):
        storage = {"profile": "memory", "capture": given}
        with served(), InsideRelay(bench.folder, upstream_url=served.url, storage=storage) as relay:
            ask(relay.url, post(CHAT, QUESTION))
            assert spans(relay)[0]["prompt"] == text


def max_text_bytes(bench: Bench) -> None:
    storage = {"profile": "memory", "max_text_bytes": 11}
    with served(), InsideRelay(bench.folder, upstream_url=served.url, storage=storage) as relay:
        ask(relay.url, post(CHAT, QUESTION))
        assert spans(relay)[0]["prompt"] == "user: Hello"
    refused("storage.max_text_bytes", storage={"max_text_bytes": -1})


def purged(**storage: Any) -> int:
    """How many of ten spans of ten days are left, today being the tenth."""
    options = load(storage={"profile": "memory", **storage}).storage
    store = open_store(options)
    store.put(
        [
            made(
                span_id=str(uuid.uuid4()),
                trace_id=str(uuid.uuid4()),
                start_time=number * DAY_US,
                prompt="x" * 300_000,
            )
            for number in range(10)
        ]
    )
    Retention(store, options, lambda: 10 * DAY_US, lambda *_: None).run_once()
    left = store.stats(None).total_spans
    store.close()
    return left


def retention_days(_bench: Bench) -> None:
    assert purged(retention_days=3.5) == 3
    assert purged(retention_days=None) == 10
    refused("storage.retention_days", storage={"retention_days": 0})


def max_bytes(_bench: Bench) -> None:
    assert 0 < purged(retention_days=None, max_bytes=1 << 20) < 10
    refused("storage.max_bytes", storage={"max_bytes": 1})


def auth_enabled(bench: Bench) -> None:
    for enabled, status in ((True, 401), (False, 200)):
        with served(), InsideRelay(bench.folder, upstream_url=served.url, auth={"enabled": enabled}) as relay:
            assert ask(relay.url, post(CHAT, QUESTION)).line.split(" ")[1] == str(status)


def admin_key(bench: Bench) -> None:
    auth = {"enabled": True, "admin_key": "a-key-of-the-operator"}
    with served(), InsideRelay(bench.folder, upstream_url=served.url, auth=auth) as relay:
        for key, status in (("a-key-of-the-operator", "200"), ("another-key-altogether", "401")):
            answer = ask(relay.url, post(CHAT, QUESTION, f"authorization: Bearer {key}"))
            assert answer.line.split(" ")[1] == status
    short = command._problems(load(auth={"enabled": True, "admin_key": "short"}), 1)
    assert "less than 16 characters" in short[0]


def allow_remote_without_auth(_bench: Bench) -> None:
    remote = load(listen_addr="0.0.0.0:80")
    assert "auth.enabled" in (refusal_to_listen(remote) or "")
    assert refusal_to_listen(replace(remote, auth=replace(remote.auth, allow_remote_without_auth=True))) is None


def ingest_enabled(bench: Bench) -> None:
    for enabled, status in ((True, "200"), (False, "404")):
        with InsideRelay(bench.folder, otel_ingest={"enabled": enabled}) as relay:
            answer = ask(relay.url, post("/v1/traces", b'{"resourceSpans": []}', "content-type: application/json"))
            assert answer.line.split(" ")[1] == status


def shutdown_timeout(_bench: Bench) -> None:
    assert command._server(load(shutdown={"timeout_seconds": 7}))["timeout_graceful_shutdown"] == 7
    refused("shutdown.timeout_seconds", shutdown={"timeout_seconds": -1})


def logged(**options: Any) -> str:
    import io
    import sys

    before, sys.stderr = sys.stderr, io.StringIO()
    try:
        logs.setup(load(logging=options).logging)
        logging.getLogger("llmtrace.relay").info("it is %s", "so")
        return sys.stderr.getvalue()
    finally:
        sys.stderr = before
        for handler in [each for each in logging.getLogger().handlers if isinstance(each, logs._Handler)]:
            logging.getLogger().removeHandler(handler)


def log_level(_bench: Bench) -> None:
    assert "it is so" in logged(level="info")
    assert logged(level="warning") == ""


def log_format(_bench: Bench) -> None:
    assert "it is so" in json.loads(logged(format="json"))["message"]


EFFECTS = {
    "default_tenant_id": default_tenant_id,
    "timeout_ms": timeout_ms,
    "connection_timeout_ms": connection_timeout_ms,
    "idle_timeout_ms": idle_timeout_ms,
    "max_connections": max_connections,
    "enable_tls": tls,
    "tls_cert_file": tls,
    "tls_key_file": tls,
    "enable_trace_storage": enable_trace_storage,
    "storage.profile": profile,
    "storage.database_path": database_path,
    "storage.postgres_url": postgres_url,
    "storage.spool_path": spool_path,
    "storage.spool_max_bytes": spool_max_bytes,
    "storage.capture": capture,
    "storage.max_text_bytes": max_text_bytes,
    "storage.retention_days": retention_days,
    "storage.max_bytes": max_bytes,
    "auth.enabled": auth_enabled,
    "auth.admin_key": admin_key,
    "auth.allow_remote_without_auth": allow_remote_without_auth,
    "otel_ingest.enabled": ingest_enabled,
    "shutdown.timeout_seconds": shutdown_timeout,
    "logging.level": log_level,
    "logging.format": log_format,
}
