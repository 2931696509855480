from __future__ import annotations

import asyncio
import threading

import pytest

from llmtrace_relay import owners
from llmtrace_relay.keys import key_hash
from llmtrace_relay.owners import Owners
from llmtrace_relay.store import StoreUnavailable
from tests.relay.access.doors import NOW, Clock, Keys, key_of, record


async def until(holds: object) -> None:
    async with asyncio.timeout(10):
        while not holds():  # type: ignore[operator]
            await asyncio.sleep(0.001)


async def revoked_while_asked(known: Owners, store: Keys) -> asyncio.Task[object]:
    """A question about a key that is revoked while the database, which waits at its gate, is being asked."""
    store.gate.clear()
    asked = asyncio.create_task(known.of(key_of(1)))
    await until(lambda: store.lookups == 1)
    store.by_hash[key_hash(key_of(1))] = record(1, revoked_at=NOW)
    return asked


def test_a_key_is_looked_up_once_in_five_seconds_off_the_event_loop() -> None:
    clock, store = Clock(), Keys((1, record(1)))

    async def calls() -> None:
        known = Owners(store, clock)
        for _ in range(100):
            assert await known.of(key_of(1)) == record(1)
            assert await known.of(key_of(2)) is None
        assert store.lookups == 2
        clock.go(4.999)
        await known.of(key_of(1))
        assert store.lookups == 2
        clock.go(0.001)
        await known.of(key_of(1))
        await known.of(key_of(2))
        assert store.lookups == 4

    asyncio.run(calls())
    assert threading.get_ident() not in store.threads


def test_a_clock_that_goes_back_makes_nothing_known_for_longer() -> None:
    clock, store = Clock(), Keys((1, record(1)))

    async def calls() -> None:
        known = Owners(store, clock)
        await known.of(key_of(1))
        clock.go(-3600)
        await known.of(key_of(1))

    asyncio.run(calls())
    assert store.lookups == 2


def test_a_key_that_is_revoked_elsewhere_is_known_to_be_so_five_seconds_later() -> None:
    clock, store = Clock(), Keys((1, record(1)))

    async def calls() -> None:
        known = Owners(store, clock)
        await known.of(key_of(1))
        store.by_hash[key_hash(key_of(1))] = record(1, revoked_at=NOW)
        assert await known.of(key_of(1)) == record(1)
        clock.go(5)
        assert await known.of(key_of(1)) == record(1, revoked_at=NOW)

    asyncio.run(calls())


def test_after_forgetting_the_database_is_asked_even_by_who_comes_while_it_is_being_asked() -> None:
    store = Keys((1, record(1)))

    async def calls() -> None:
        known = Owners(store, Clock())
        before = await revoked_while_asked(known, store)
        await asyncio.to_thread(known.forget)
        after = asyncio.create_task(known.of(key_of(1)))
        await until(lambda: store.lookups == 2)
        store.gate.set()
        assert await before == record(1)
        assert await after == record(1, revoked_at=NOW)
        assert await known.of(key_of(1)) == record(1, revoked_at=NOW)

    asyncio.run(calls())
    assert store.lookups == 2


def test_an_answer_from_before_the_revocation_is_not_remembered_after_it() -> None:
    store = Keys((1, record(1)))

    async def calls() -> None:
        known = Owners(store, Clock())
        before = await revoked_while_asked(known, store)
        known.forget()
        store.gate.set()
        assert await before == record(1)
        assert await known.of(key_of(1)) == record(1, revoked_at=NOW)

    asyncio.run(calls())


def test_many_calls_at_once_ask_once_and_one_that_goes_away_takes_nothing_from_the_others() -> None:
    store = Keys((1, record(1)))

    async def calls() -> None:
        known = Owners(store, Clock())
        store.gate.clear()
        tasks = [asyncio.create_task(known.of(key_of(1))) for _ in range(50)]
        await until(lambda: store.lookups == 1)
        tasks[0].cancel()
        store.gate.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1:] == [record(1)] * 49

    asyncio.run(calls())
    assert store.lookups == 1


def test_what_the_database_did_not_say_is_not_remembered() -> None:
    store = Keys((1, record(1)))

    async def calls() -> None:
        known = Owners(store, Clock())
        store.gone = True
        with pytest.raises(StoreUnavailable):
            await known.of(key_of(1))
        store.gone = False
        assert await known.of(key_of(1)) == record(1)

    asyncio.run(calls())


def test_trying_many_keys_fills_no_memory_and_pushes_out_no_good_key() -> None:
    store = Keys((1, record(1)))

    async def calls() -> Owners:
        known = Owners(store, Clock())
        await known.of(key_of(1))
        for number in range(2, owners.UNOWNED_LIMIT + 100):
            await known.of(key_of(number))
        before = store.lookups
        await known.of(key_of(1))
        assert store.lookups == before
        return known

    known = asyncio.run(calls())
    assert len(known._memory.unowned) == owners.UNOWNED_LIMIT
    assert len(known._memory.owned) == 1


def test_at_most_so_many_good_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "OWNED_LIMIT", 3)
    store = Keys(*((number, record(number)) for number in range(10)))

    async def calls() -> Owners:
        known = Owners(store, Clock())
        for number in range(10):
            await known.of(key_of(number))
        return known

    assert list(asyncio.run(calls())._memory.owned) == [key_hash(key_of(number)) for number in (7, 8, 9)]


def test_too_many_unknown_keys_at_once_are_refused_and_known_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "ASKING_LIMIT", 4)
    clock, store = Clock(), Keys((1, record(1)))

    async def calls() -> None:
        known = Owners(store, clock)
        await known.of(key_of(1))
        clock.go(6)
        store.gate.clear()
        asking = [asyncio.create_task(known.of(key_of(number))) for number in range(100, 104)]
        await until(lambda: len(known._memory.asking) == 4)
        with pytest.raises(StoreUnavailable):
            await known.of(key_of(999))
        again = asyncio.create_task(known.of(key_of(1)))
        await asyncio.sleep(0)
        store.gate.set()
        assert await again == record(1)
        assert await asyncio.gather(*asking) == [None] * 4
        assert await known.of(key_of(999)) is None

    asyncio.run(calls())
