"""Whatever the headers say, nobody gets in with a key that is not good, and nobody gets another's rights."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from llmtrace_relay.auth import Denied
from llmtrace_relay.keys import key_hash
from llmtrace_relay.model import ApiKey, Tenant
from llmtrace_relay.store import Identity
from tests.relay.access.doors import ADMIN_KEY, NOW, OTHER, TENANT, Keys, identify, key_of, record

GOOD = {1: record(1, "viewer"), 2: record(2, "admin"), 3: record(3, "admin", None)}
BAD = {
    11: record(11, "admin", revoked_at=NOW - 1),
    12: record(12, "admin", expires_at=NOW),
    13: record(13, "viewer", None),
    14: record(14, "admin", None, revoked_at=NOW, expires_at=NOW + 10),
}
TOKEN_OF = 20
NAMES = ["x-llmtrace-token", "authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie"]


def store() -> Keys:
    keys: list[tuple[int, ApiKey]] = [*GOOD.items(), *BAD.items()]
    found = Keys(*keys)
    found.tokens[key_hash(key_of(TOKEN_OF))] = Tenant(id=OTHER, name="", created_at=NOW)
    return found


def nearly(secret: str) -> st.SearchStrategy[str]:
    """What is not the secret, and looks as if it were."""
    cut = st.integers(0, len(secret) - 1).map(lambda at: secret[:at])
    more = st.text("0123456789abcdef ,;\t", min_size=1, max_size=4).map(lambda tail: secret + "," + tail)
    other = st.integers(0, len(secret) - 1).map(lambda at: secret[:at] + "\x7f" + secret[at + 1 :])
    return st.one_of(cut, more, other, st.just(secret.upper()), st.just(secret * 2), st.just(f"{secret}, {secret}"))


wrong = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=80),
    st.text(max_size=40),
    st.sampled_from([*BAD, 99]).map(key_of),
    st.sampled_from([*GOOD, TOKEN_OF]).map(key_of).flatmap(nearly),
    nearly(ADMIN_KEY),
    st.sampled_from([TENANT, OTHER, "", " ", "None", "llmt_", "Bearer", "\x00"]),
)
prefixes = st.sampled_from(["", "Bearer ", "bearer  ", "Basic ", "Bearer Bearer ", "Token ", " ", ","])
wrong_headers = st.dictionaries(st.sampled_from(NAMES), st.builds(str.__add__, prefixes, wrong), max_size=7)
tenants = st.one_of(st.none(), st.sampled_from([TENANT, OTHER, "acme", ""]), st.text(max_size=40))


def with_tenant(headers: dict[str, str], tenant: str | None) -> dict[str, str]:
    return headers if tenant is None else {**headers, "x-llmtrace-tenant-id": tenant}


@given(wrong_headers, tenants)
@settings(max_examples=400, deadline=None)
def test_no_combination_of_headers_lets_a_wrong_key_in(headers: dict[str, str], tenant: str | None) -> None:
    found = identify(store(), with_tenant(headers, tenant))
    assert isinstance(found, Denied)
    assert found.status == 401


@given(wrong_headers, tenants, st.sampled_from([1, 2, TOKEN_OF]), st.sampled_from(NAMES[:5]))
@settings(max_examples=300, deadline=None)
def test_a_good_key_beside_anything_has_its_own_rights_and_no_others(
    headers: dict[str, str], tenant: str | None, number: int, name: str
) -> None:
    good = key_of(number)
    headers = with_tenant({**headers, name: f"Bearer {good}" if name == "authorization" else good}, tenant)
    expected = (
        Identity(OTHER, "operator", f"token:{OTHER}")
        if number == TOKEN_OF
        else Identity(TENANT, GOOD[number].role, f"key:key-{number}", f"key-{number}")
    )
    assert identify(store(), headers) == expected


@given(wrong_headers, tenants)
@settings(max_examples=200, deadline=None)
def test_while_the_database_is_away_no_combination_gets_in_either(headers: dict[str, str], tenant: str | None) -> None:
    away = store()
    away.gone = True
    found = identify(away, with_tenant(headers, tenant))
    assert isinstance(found, Denied)
    assert found.status in (401, 503)


@given(wrong_headers, tenants)
@settings(max_examples=200, deadline=None)
def test_without_keys_everything_names_a_tenant_or_none_and_nothing_fails(
    headers: dict[str, str], tenant: str | None
) -> None:
    found = identify(Keys(), with_tenant(headers, tenant), enabled=False)
    assert isinstance(found, Identity)
    assert found.role == "admin"
    assert found.tenant_id is None or len(found.tenant_id) == 36
