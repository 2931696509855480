from __future__ import annotations

import asyncio
import hmac
import uuid

import pytest

from llmtrace_relay import auth
from llmtrace_relay.auth import Denied
from llmtrace_relay.keys import key_hash, key_prefix, new_key
from llmtrace_relay.model import Tenant
from llmtrace_relay.store import Identity
from tests.relay.access.doors import (
    ADMIN_KEY,
    NOW,
    OTHER,
    SECOND,
    TENANT,
    Keys,
    authenticator,
    identify,
    key_of,
    record,
)

FIRST = Identity(TENANT, "operator", actor="key:key-1", key_id="key-1")
THE_ADMIN = Identity(None, "admin", actor="admin-key")
HEADERS_FOR_KEYS = ["x-llmtrace-token", "authorization", "x-api-key", "api-key", "x-goog-api-key"]


def carrying(name: str, key: str) -> dict[str, str]:
    return {name: f"Bearer {key}" if name == "authorization" else key}


def refused(found: Identity | Denied, status: int = 401) -> Denied:
    assert isinstance(found, Denied), found
    assert found.status == status
    return found


def test_a_new_key_is_llmt_and_64_digits_and_no_two_are_alike() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) == 69 and key.startswith("llmt_") and int(key[5:], 16) >= 0 for key in keys)
    key = keys.pop()
    assert key_prefix(key) == key[:12]
    assert len(key_hash(key)) == 64


@pytest.mark.parametrize("name", HEADERS_FOR_KEYS)
@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_a_key_is_taken_from_every_header_that_clients_put_keys_in(name: str, role: str) -> None:
    found = identify(Keys((1, record(1, role))), carrying(name, key_of(1)))
    assert found == Identity(TENANT, role, actor="key:key-1", key_id="key-1")


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   ", "Bearer\t"])
def test_the_scheme_may_be_written_in_any_letter_case(scheme: str) -> None:
    assert identify(Keys((1, record(1))), {"authorization": scheme + key_of(1)}) == FIRST


@pytest.mark.parametrize("text", [key_of(1), f"Basic {key_of(1)}", f"Bearer{key_of(1)}", f"Token {key_of(1)}"])
def test_authorization_without_the_scheme_is_no_key(text: str) -> None:
    refused(identify(Keys((1, record(1))), {"authorization": text}))


def test_the_token_of_a_tenant_is_an_operator() -> None:
    store = Keys()
    store.tokens[key_hash(key_of(7))] = Tenant(id=TENANT, name="t", created_at=NOW)
    found = identify(store, {"x-llmtrace-token": key_of(7)})
    assert found == Identity(TENANT, "operator", actor=f"token:{TENANT}")


@pytest.mark.parametrize("name", HEADERS_FOR_KEYS)
def test_the_admin_key_is_the_operator_of_the_relay(name: str) -> None:
    found = identify(Keys(), carrying(name, ADMIN_KEY))
    assert found == Identity(None, "admin", actor="admin-key")
    assert found.everywhere


def test_the_admin_key_may_speak_for_one_tenant() -> None:
    found = identify(Keys(), {"x-llmtrace-token": ADMIN_KEY, "x-llmtrace-tenant-id": TENANT.upper()})
    assert found == Identity(TENANT, "admin", actor="admin-key")


def test_the_admin_key_with_a_tenant_that_cannot_be_does_not_speak_for_all_of_them() -> None:
    denied = refused(identify(Keys(), {"x-llmtrace-token": ADMIN_KEY, "x-llmtrace-tenant-id": "acme"}), 400)
    assert "x-llmtrace-tenant-id" in denied.message


def test_the_tenant_of_a_key_is_never_taken_from_a_header() -> None:
    headers = {"x-llmtrace-token": key_of(1), "x-llmtrace-tenant-id": OTHER}
    found = identify(Keys((1, record(1, "admin"))), headers)
    assert isinstance(found, Identity)
    assert found.tenant_id == TENANT


def test_a_key_of_the_operator_is_everywhere_and_may_speak_for_one_tenant() -> None:
    store = Keys((1, record(1, "admin", None)))
    assert identify(store, {"x-api-key": key_of(1)}) == Identity(None, "admin", "key:key-1", "key-1")
    narrowed = identify(store, {"x-api-key": key_of(1), "x-llmtrace-tenant-id": OTHER})
    assert narrowed == Identity(OTHER, "admin", "key:key-1", "key-1")


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_a_key_of_no_tenant_that_is_no_admins_opens_nothing(role: str) -> None:
    refused(identify(Keys((1, record(1, role, None))), {"x-api-key": key_of(1)}))


def test_a_non_ascii_admin_key_is_compared_by_its_bytes() -> None:
    secret = "schlüssel-schlüssel"
    sent = secret.encode().decode("latin-1")  # as servers read header fields
    assert identify(Keys(), {"x-llmtrace-token": sent}, admin_key=secret) == Identity(None, "admin", "admin-key")
    refused(identify(Keys(), {"x-llmtrace-token": "schlussel-schlussel"}, admin_key=secret))


def test_without_an_admin_key_none_is_right() -> None:
    for text in ("", "None", "null", ADMIN_KEY):
        refused(identify(Keys(), {"x-llmtrace-token": text, "x-api-key": text}, admin_key=None))


def test_the_admin_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `==` the time would tell how much of a guess is right."""
    compared: list[bytes] = []

    def watched(left: bytes, right: bytes) -> bool:
        compared.append(left)
        return hmac_compare(left, right)

    hmac_compare = hmac.compare_digest
    monkeypatch.setattr(auth.hmac, "compare_digest", watched)
    assert identify(Keys(), {"x-llmtrace-token": ADMIN_KEY}) == THE_ADMIN
    refused(identify(Keys(), {"x-llmtrace-token": ADMIN_KEY[:-1] + "X"}))
    assert compared == [ADMIN_KEY.encode(), (ADMIN_KEY[:-1] + "X").encode()]


def test_a_revoked_key_is_refused() -> None:
    denied = refused(identify(Keys((1, record(1, revoked_at=NOW - 1))), {"x-api-key": key_of(1)}))
    assert "revoked" in denied.message


def test_a_key_is_good_until_it_expires() -> None:
    good, over = record(1, expires_at=NOW + 1), record(2, expires_at=NOW)
    store = Keys((1, good), (2, over))
    assert identify(store, {"x-api-key": key_of(1)}) == FIRST
    refused(identify(store, {"x-api-key": key_of(2)}))


def test_without_anything_one_is_told_what_to_send() -> None:
    denied = refused(identify(Keys(), {}))
    assert denied.message.startswith("Authentication required")
    assert "x-llmtrace-token" in denied.message


def test_the_vendors_own_key_alone_is_not_enough() -> None:
    store = Keys()
    denied = refused(identify(store, {"authorization": "Bearer sk-proj-1234", "x-api-key": "sk-ant-5678"}))
    assert denied.message.startswith("Authentication required")
    assert store.lookups == 0, "only what can be a key of ours is looked up"


def test_an_unknown_key_is_refused_without_being_repeated() -> None:
    denied = refused(identify(Keys(), {"x-llmtrace-token": key_of(9)}))
    assert denied.message.startswith("Invalid API key")
    assert key_of(9) not in denied.message


def test_a_good_key_counts_beside_one_that_is_not() -> None:
    """As in LLMTrace's proxy: a wrong token falls through to the bearer."""
    headers = {"x-llmtrace-token": key_of(9), "authorization": f"Bearer {key_of(1)}"}
    assert identify(Keys((1, record(1))), headers) == FIRST


def test_when_the_database_is_away_nobody_gets_in_but_the_admin_key() -> None:
    store = Keys((1, record(1)))
    store.gone = True
    refused(identify(store, {"x-api-key": key_of(1)}), 503)
    assert identify(store, {"x-api-key": ADMIN_KEY}) == THE_ADMIN


def test_auth_off_everybody_is_the_admin_of_the_tenant_of_the_vendors_key() -> None:
    found = identify(Keys(), {"authorization": "Bearer sk-storage-test"}, enabled=False)
    assert found == Identity("b9273ad7-78eb-507a-a80b-c8527ee2c28a", "admin", actor="local")


@pytest.mark.parametrize("name", ["x-api-key", "api-key", "x-goog-api-key"])
def test_auth_off_the_key_may_be_in_the_header_of_any_vendor(name: str) -> None:
    found = identify(Keys(), {name: "sk-storage-test"}, enabled=False)
    assert isinstance(found, Identity)
    assert found.tenant_id == str(uuid.uuid5(uuid.NAMESPACE_URL, "sk-storage-test"))


def test_auth_off_a_tenant_may_be_named() -> None:
    headers = {"authorization": "Bearer sk-storage-test", "x-llmtrace-tenant-id": f" {TENANT.upper()} "}
    found = identify(Keys(), headers, enabled=False)
    assert isinstance(found, Identity)
    assert found.tenant_id == TENANT


@pytest.mark.parametrize("name", ["acme", "", "1" * 33, "12345678-1234-1234-1234-12345678_123", f"{{{TENANT}}}"])
def test_auth_off_what_is_no_uuid_names_nobody(name: str) -> None:
    headers = {"authorization": "Bearer sk-storage-test", "x-llmtrace-tenant-id": name}
    found = identify(Keys(), headers, enabled=False)
    assert isinstance(found, Identity)
    assert found.tenant_id == "b9273ad7-78eb-507a-a80b-c8527ee2c28a"


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Basic eDp5"}, {"authorization": "Bearer "}, {"x-api-key": " "}]
)
def test_auth_off_without_a_key_no_tenant_is_named(headers: dict[str, str]) -> None:
    found = identify(Keys(), headers, enabled=False)
    assert found == Identity(None, "admin", actor="local")


class Raw(dict[str, str]):
    """Header fields as a server has them: also those of which `get` knows nothing."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in pairs})
        self.raw = [(name.encode(), value.encode()) for name, value in pairs]


@pytest.mark.parametrize("enabled", [True, False])
def test_headers_with_a_relay_key_are_named_so_that_no_vendor_sees_them(enabled: bool) -> None:
    door = authenticator(Keys(), enabled=enabled)
    vendor = "sk-ant-api03-abcdef"
    assert door.relay_key_in({"x-api-key": vendor, "authorization": f"Bearer {key_of(1)}"}) == {"authorization"}
    assert door.relay_key_in({"x-api-key": ADMIN_KEY, "api-key": vendor}) == {"x-api-key"}
    assert door.relay_key_in({"x-goog-api-key": f"{vendor}, {key_of(1)}"}) == {"x-goog-api-key"}
    assert door.relay_key_in({"authorization": f"Bearer {vendor}", "x-llmtrace-token": key_of(2)}) == {
        "x-llmtrace-token"
    }
    assert door.relay_key_in({}) == set()


def test_a_relay_key_is_found_wherever_it_stands_and_even_when_it_was_cut() -> None:
    door = authenticator(Keys())
    fields = Raw(
        ("X-Api-Key", "sk-1"),
        ("x-api-key", key_of(1)),
        ("Cookie", f"session={key_of(2)}"),
        ("Sec-WebSocket-Protocol", f"realtime, openai-insecure-api-key.{key_of(3)}"),
        ("X-Cut", key_of(4)[:40]),
        ("X-Upper", key_of(0xABCDEF).upper().replace("LLMT", "llmt")),
        ("X-Note", f"is {ADMIN_KEY} there"),
        ("User-Agent", "llmt_client/1.0"),
        ("Accept", "*/*"),
    )
    found = door.relay_key_in(fields)
    assert found == {"x-api-key", "cookie", "sec-websocket-protocol", "x-cut", "x-upper", "x-note"}


def test_the_time_of_last_use_is_kept_once_a_minute() -> None:
    from tests.relay.access.doors import Clock

    clock, store = Clock(), Keys((1, record(1)))

    async def calls() -> None:
        door = authenticator(store, clock)
        for _ in range(3):
            await door.identify({"x-api-key": key_of(1)})
        clock.go(6)
        store.by_hash[key_hash(key_of(1))] = record(1, last_used_at=NOW)
        await door.identify({"x-api-key": key_of(1)})
        clock.go(60)
        await door.identify({"x-api-key": key_of(1)})

    asyncio.run(calls())
    assert store.used == [("key-1", NOW), ("key-1", NOW + 66 * SECOND)]
