from __future__ import annotations

import asyncio
import logging

import pytest

from llmtrace_relay import denials
from llmtrace_relay.auth import Denied
from llmtrace_relay.denials import Denial, Denials
from tests.relay.access.doors import NOW, TENANT, Clock, Keys, authenticator, identify, key_of, record


def told(store: Keys) -> list[tuple[str | None, str, str, dict[str, object]]]:
    return sorted((event.tenant_id, event.actor, event.resource, event.data) for event in store.events)  # type: ignore[type-var]


def test_a_thousand_attempts_are_one_event() -> None:
    store = Keys()

    async def attempts() -> None:
        door = authenticator(store)
        for _ in range(1000):
            with pytest.raises(Denied):
                await door.identify({"x-api-key": key_of(9)})
        assert store.events == []
        await door.close()

    asyncio.run(attempts())
    assert [(event.event_type, event.timestamp) for event in store.events] == [("access_denied", NOW)]
    assert told(store) == [(None, "anonymous", "relay", {"reason": "unknown", "count": 1000})]


def test_an_attempt_with_a_key_that_was_good_once_is_told_to_its_tenant() -> None:
    store = Keys((1, record(1, revoked_at=NOW)), (2, record(2, expires_at=NOW)))
    identify(store, {"x-llmtrace-token": key_of(1), "authorization": f"Bearer {key_of(9)}"})
    identify(store, {"x-api-key": key_of(2)})
    assert told(store) == [
        (TENANT, "key:key-1", "api_key:key-1", {"reason": "revoked", "count": 1}),
        (TENANT, "key:key-2", "api_key:key-2", {"reason": "expired", "count": 1}),
    ]


def test_nothing_of_what_was_sent_is_kept() -> None:
    store = Keys()
    identify(store, {"x-api-key": "sk-secret-of-a-vendor", "authorization": "Bearer other-secret"})
    (event,) = store.events
    assert "secret" not in repr(event)
    assert event.data == {"reason": "missing", "count": 1}


def test_sums_are_written_by_themselves_after_a_while() -> None:
    store = Keys()

    async def attempts() -> None:
        counting = Denials(store, Clock(), every_s=0.02)
        counting.note(Denial("unknown"))
        counting.note(Denial("unknown"))
        async with asyncio.timeout(10):
            while not store.events:
                await asyncio.sleep(0.005)
        counting.note(Denial("missing"))
        await counting.close()

    asyncio.run(attempts())
    assert [event.data for event in store.events] == [
        {"reason": "unknown", "count": 2},
        {"reason": "missing", "count": 1},
    ]


def test_while_the_database_is_away_the_sums_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    store = Keys()
    store.gone = True

    async def attempts() -> None:
        counting = Denials(store, Clock(), every_s=0.01)
        counting.note(Denial("unknown"), 3)
        async with asyncio.timeout(10):
            while not caplog.records:
                await asyncio.sleep(0.005)
        counting.note(Denial("unknown"))
        store.gone = False
        await counting.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(attempts())
    assert sum(event.data["count"] for event in store.events) == 4
    assert "wait for the database" in caplog.records[0].message


def test_many_different_keys_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials, "KINDS_LIMIT", 10)
    store = Keys()

    async def attempts() -> None:
        counting = Denials(store, Clock())
        for number in range(1000):
            counting.note(Denial("revoked", TENANT, f"key-{number}"))
        await counting.close()

    asyncio.run(attempts())
    assert len(store.events) == 11
    assert sum(event.data["count"] for event in store.events) == 1000


def test_closing_without_attempts_writes_nothing() -> None:
    store = Keys()
    asyncio.run(authenticator(store).close())
    assert store.events == []
