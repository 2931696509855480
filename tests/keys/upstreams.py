"""What the keys of the relay's upstreams do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_relay import command, targets
from llmtrace_relay.headers import Headers

from .relay import load, refused

if TYPE_CHECKING:
    from llmtrace_sdk.config import Settings

    from .bench import Bench


def target(settings: Settings, path: str = "/a/b", host: str = "relay", **fields: str) -> targets.Target:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in {"host": host, **fields}.items()]
    return targets.target_of(settings, Headers(given), path.encode(), b"", "tenant-1")


def upstream(**more: Any) -> Settings:
    return load(upstreams=[{"name": "n", "url": "http://there:1/base", "path": "/a", **more}])


def listen_addr(_bench: Bench) -> None:
    server = command._server(load(listen_addr="[::1]:8123"))
    assert (server["host"], server["port"]) == ("::1", 8123)
    refused("listen_addr: 'nowhere' is not host:port", listen_addr="nowhere")


def upstream_url(_bench: Bench) -> None:
    assert target(load(upstream_url="https://vendor.test/x/")).url == "https://vendor.test/x/a/b"
    refused("upstream_url", upstream_url="vendor.test")


def upstreams(_bench: Bench) -> None:
    assert target(upstream()).url == "http://there:1/base/a/b"
    assert target(load()).base.host == "api.openai.com"
    refused("given twice", upstreams=[{"name": "n", "url": "http://x"}, {"name": "n", "url": "http://y"}])


def upstream_name(_bench: Bench) -> None:
    assert target(upstream(path=None), x_llmtrace_upstream="n").base.host == "there"
    with pytest.raises(targets.UnknownUpstream, match="configured: n"):
        target(upstream(), x_llmtrace_upstream="other")


def upstream_url_of_one(_bench: Bench) -> None:
    assert target(upstream(url="http://elsewhere")).base.host == "elsewhere"
    refused("upstreams.n.url", upstreams=[{"name": "n", "url": "ftp://x"}])


def upstream_path(_bench: Bench) -> None:
    assert target(upstream(), "/ab").base.host == "api.openai.com"
    assert target(upstream(), "/a").base.host == "there"
    refused("does not begin with /", upstreams=[{"name": "n", "url": "http://x", "path": "a"}])


def strip_path(_bench: Bench) -> None:
    assert target(upstream(strip_path=True)).path == "/base/b"
    refused("no path to strip", upstreams=[{"name": "n", "url": "http://x", "strip_path": True}])


def upstream_host(_bench: Bench) -> None:
    chosen = upstream(path=None, host="vendor.local")
    assert target(chosen, host="Vendor.local:8080").base.host == "there"
    assert target(chosen).base.host == "api.openai.com"


def api_key_env(bench: Bench) -> None:
    bench.monkeypatch.setenv("KEY_OF_VENDOR", "sk-v")
    found = target(upstream(api_key_env="KEY_OF_VENDOR"))
    assert targets.credential(found) == [("authorization", "Bearer sk-v")]
    assert b"authorization" in targets.replaced(found)
    bench.monkeypatch.delenv("KEY_OF_VENDOR")
    with pytest.raises(targets.MissingKey, match="KEY_OF_VENDOR"):
        target(upstream(api_key_env="KEY_OF_VENDOR"))


def tenant_key_envs(bench: Bench) -> None:
    bench.monkeypatch.setenv("KEY_OF_TENANT", "sk-t")
    bench.monkeypatch.setenv("KEY_OF_ALL", "sk-a")
    assert target(upstream(api_key_env="KEY_OF_ALL", tenant_key_envs={"tenant-1": "KEY_OF_TENANT"})).key == "sk-t"
    assert target(upstream(api_key_env="KEY_OF_ALL", tenant_key_envs={"other": "KEY_OF_TENANT"})).key == "sk-a"


EFFECTS = {
    "listen_addr": listen_addr,
    "upstream_url": upstream_url,
    "upstreams": upstreams,
    "upstreams[].name": upstream_name,
    "upstreams[].url": upstream_url_of_one,
    "upstreams[].path": upstream_path,
    "upstreams[].strip_path": strip_path,
    "upstreams[].host": upstream_host,
    "upstreams[].api_key_env": api_key_env,
    "upstreams[].tenant_key_envs": tenant_key_envs,
}
