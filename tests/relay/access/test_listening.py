from __future__ import annotations

from typing import Any

import pytest

from llmtrace_relay.listening import refusal_to_listen
from llmtrace_sdk.config import Settings
from llmtrace_sdk.config.relay import AuthOptions

LOCAL = ["127.0.0.1:8080", "127.8.9.1:1", "localhost:80", "LocalHost:0", "[::1]:8080", "[::ffff:127.0.0.1]:9"]
BEYOND = ["0.0.0.0:8080", "[::]:8080", "192.168.1.5:80", "10.0.0.1:80", "relay.example:443", "8080", "[fe80::1]:80"]


def refusal(listen_addr: str, **auth: Any) -> str | None:
    return refusal_to_listen(Settings(listen_addr=listen_addr, auth=AuthOptions(**auth)))


@pytest.mark.parametrize("address", LOCAL)
def test_this_machine_needs_no_keys(address: str) -> None:
    assert refusal(address) is None


def test_the_default_is_this_machine() -> None:
    assert refusal_to_listen(Settings()) is None


@pytest.mark.parametrize("address", BEYOND)
def test_beyond_this_machine_keys_are_needed_and_both_ways_out_are_told(address: str) -> None:
    words = refusal(address)
    assert words is not None
    assert address in words
    for way in ("auth.enabled", "auth.admin_key", "LLMTRACE_AUTH_ENABLED", "auth.allow_remote_without_auth: true"):
        assert way in words
    assert refusal(address, enabled=True, admin_key="x" * 16) is None
    assert refusal(address, allow_remote_without_auth=True) is None
