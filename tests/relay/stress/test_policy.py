"""A policy that is set at one worker of one relay is in force within a second wherever it has to be."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from llmtrace_sdk.following import announcement
from llmtrace_sdk.state.redis import RedisState
from tests.following.conftest import Program, following
from tests.relay.running import RunningRelay
from tests.state.redis_server import RedisServer, require_redis

from .load import INJECTION, Client, Kind, chat
from .watching import connections, listens, workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.fake_provider import FakeProvider

pytestmark = pytest.mark.slow

ATTACK = Kind("attack", body=chat(INJECTION))
FLAG = "/api/v1/config/features/enforcement_mode"
PROMISED_S = 1.0
ROUNDS = 6
ANSWER_OF = {"block": (403, 400), "log": (200, 200)}
"""What the relay and an instrumented process say to an attack, by mode."""


class Parties(NamedTuple):
    """`many` has two workers, `other` shares its database; one process follows `many`, one only shares Redis."""

    redis: RedisServer
    many: RunningRelay
    other: RunningRelay
    follower: Program
    sharer: Program


@pytest.fixture(scope="module")
def parties(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parties]:
    folder = tmp_path_factory.mktemp("policy")
    with ExitStack() as ending:
        redis = ending.enter_context(RedisServer(require_redis(), folder))
        config = {
            "upstream_url": provider.url,
            "storage": {"database_path": str(folder / "llmtrace.db")},
            "state": {"url": redis.url, "timeout_ms": 500},
        }
        many = ending.enter_context(RunningRelay(folder / "many", workers=2, **config))
        other = ending.enter_context(RunningRelay(folder / "other", **config))
        many.until(lambda: len(workers(many)) == 2 and all(listens(pid, many.url) for pid in workers(many)))
        follower = ending.enter_context(following(relay=many.url))
        sharer = ending.enter_context(following(state={"url": redis.url, "timeout_ms": 500}))
        follower.becomes(200)
        sharer.becomes(200)
        yield Parties(redis, many, other, follower, sharer)


@contextmanager
def clients(relay: RunningRelay) -> Iterator[list[Client]]:
    """Some for each worker."""
    with ExitStack() as ending:
        made: list[Client] = []
        while not made or min(connections(pid, relay.url) for pid in workers(relay)) < 2:
            made.append(ending.enter_context(closing(Client(relay.url))))
            made[-1].call(ATTACK)
        yield made


def set_mode(url: str, mode: str | None) -> float:
    """Set it; gives the moment of the answer, in seconds since 1970."""
    with httpx.Client() as client:
        answer = client.put(f"{url}{FLAG}", json={"value": mode})
        assert answer.status_code == 200, answer.text
    return time.time()


def all_say(made: list[Client], status: int) -> float:
    """When all of them have been told that, one after the other, in seconds since 1970."""
    deadline = time.monotonic() + 10
    for client in made:
        while client.call(ATTACK).status != status:
            assert time.monotonic() < deadline, f"{status} is not said everywhere"
            time.sleep(0.005)
    return time.time()


def test_a_change_is_in_force_everywhere_within_a_second(parties: Parties) -> None:
    took: dict[str, list[float]] = {"workers": [], "other relay": [], "follower": [], "sharer": []}
    with clients(parties.many) as many, clients(parties.other) as other:
        for number in range(ROUNDS):
            mode = ("block", "log")[number % 2]
            here, there = ANSWER_OF[mode]
            told = set_mode((parties.many, parties.other)[number // 2 % 2].url, mode)
            took["workers"].append(all_say(many, here) - told)
            took["other relay"].append(all_say(other, here) - told)
            took["follower"].append(parties.follower.becomes(there) - told)
            took["sharer"].append(parties.sharer.becomes(there) - told)
    for name, seconds in took.items():
        print(f"{name}: {', '.join(f'{each:.2f}' for each in seconds)} s")
    assert max(max(seconds) for seconds in took.values()) < PROMISED_S


def test_all_workers_tell_one_policy_and_that_it_has_not_changed(parties: Parties) -> None:
    set_mode(parties.many.url, "flag")
    time.sleep(PROMISED_S)
    tags = set()
    for url in [parties.many.url] * 12 + [parties.other.url]:
        first = httpx.get(f"{url}/api/v1/policy")
        tags.add(first.headers["etag"])
        again = httpx.get(f"{url}/api/v1/policy", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert first.json()["policy"]["enforcement"]["mode"] == "flag"
    assert len(tags) == 1
    (tag,) = tags
    set_mode(parties.many.url, "block")
    time.sleep(PROMISED_S)
    changed = httpx.get(f"{parties.many.url}/api/v1/policy", headers={"if-none-match": tag})
    assert (changed.status_code, changed.json()["policy"]["enforcement"]["mode"]) == (200, "block")


def test_what_is_broken_is_refused_and_the_last_good_policy_stays(parties: Parties) -> None:
    redis, relay = parties.redis, parties.many
    set_mode(relay.url, "block")
    parties.sharer.becomes(400)
    with clients(relay) as made:
        all_say(made, 403)
        with httpx.Client(base_url=relay.url) as client:
            assert client.put(FLAG, json={"value": "blok"}).status_code == 400
            assert client.put(FLAG, json={"value": True}).status_code == 400
            wrong = {"features": {"enforcement_mode": "log", "nonsense": True}}
            assert client.put("/api/v1/config/features", json=wrong).status_code == 400
        before = relay.file.read_text()
        relay.file.write_text("enforcement: {mode: log")
        with closing(RedisState(redis.url, timeout_s=5)) as state:
            known = announcement(state)
            assert known is not None
            for nonsense in (b"not JSON", b'{"policy": {"enforcement": {"mode": "blok"}}}', b'{"policy": []}'):
                state.publish("policy", nonsense)
                time.sleep(PROMISED_S)
            assert {client.call(ATTACK).status for client in made} == {403}
            relay.file.write_text(before)
            set_mode(relay.url, "log")
            # had it given up its policy meanwhile, it would have said so before
            assert parties.sharer.becomes(200) > time.time() - PROMISED_S
            all_say(made, 200)
    assert relay.log.count("the last good configuration stays in force") == len(workers(relay))
