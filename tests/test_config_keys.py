"""Every key that can be set does something, and here is what: no key without a test that shows its effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llmtrace_sdk import runtime
from llmtrace_sdk.config import keys

from .keys import (
    actions,
    anomaly,
    costs,
    credentials,
    following,
    foreign,
    hygiene,
    limits,
    policy,
    relay,
    telemetry,
    tiers,
    upstreams,
)
from .keys.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmtrace_sdk.fake_provider import FakeProvider

TABLES = (
    *(anomaly, costs, credentials, following, policy, foreign, tiers),
    *(telemetry, hygiene, limits, actions, relay, upstreams),
)
EFFECTS = {name: effect for table in TABLES for name, effect in table.EFFECTS.items()}
# Keys whose effect is not there yet, each with the reason. It must become empty.
NOT_YET: dict[str, str] = {}
# An override's categories are those of the policy, which are tested there.
KEYS = [key.name for key in keys.everything() if key.path.count(keys.ITEM) < 2]


@pytest.fixture(autouse=True)
def _no_faults_left_behind() -> Iterator[None]:
    yield
    runtime.faults.clear()


@pytest.mark.parametrize("name", KEYS)
def test_every_key_has_an_effect(
    name: str, provider: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in NOT_YET:
        pytest.skip(NOT_YET[name])
    assert name in EFFECTS, f"add what {name} does to the tables in tests/keys"
    EFFECTS[name](Bench(provider, tmp_path, monkeypatch))


def test_the_tables_know_no_other_keys() -> None:
    assert set(KEYS) >= {*EFFECTS, *NOT_YET}
    assert not set(EFFECTS) & set(NOT_YET)


@pytest.mark.parametrize("key", keys.everything(), ids=lambda key: key.name)
def test_every_key_is_described(key: keys.Key) -> None:
    assert key.description, f"say what {key.name} means: in the docstring of its class, or in config/descriptions.py"
