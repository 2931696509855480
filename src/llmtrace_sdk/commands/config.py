"""`llmtrace config`: what is in force and where it comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llmtrace_sdk import config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.config import Loaded


def run(what: str, file: str | None) -> int:
    """`show`, `validate` or `schema`; bad settings raise `ConfigError`."""
    if what == "schema":
        print(json.dumps(config.schema(), indent=2))
        return 0
    found = config.read(file)
    print("\n".join(_shown(found) if what == "show" else _valid(found)))
    return 0


def _valid(found: Loaded) -> Iterator[str]:
    yield from _notices(found)
    yield "configuration is valid"
    yield f"policy {found.settings.policy_hash}"


def _shown(found: Loaded) -> Iterator[str]:
    from llmtrace_sdk.config.keys import leaves
    from llmtrace_sdk.config.masking import masked

    yield f"# file: {found.file or 'none'}"
    yield f"# policy: {found.settings.policy_hash}"
    yield f"# prices: {_prices(found)}"
    for key in leaves():
        value: Any = found.settings
        for part in key.path:
            value = getattr(value, part)
        text = json.dumps(masked(key.path[-1], value), ensure_ascii=False)
        yield f"{key.name} = {text}  ({found.places.get(key.path, 'default')})"
    yield from _notices(found)


def _prices(found: Loaded) -> str:
    from llmtrace_sdk.pricing import Pricing

    listed = Pricing.of(found.settings.cost_estimation).catalogue
    return f"{listed.source}, {listed.as_of}"


def _notices(found: Loaded) -> Iterator[str]:
    yield from (f"notice: {notice}" for notice in (*found.notices, *found.strange))
