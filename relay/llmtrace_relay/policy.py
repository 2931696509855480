"""The policy of the relay in the form in which instrumented processes follow it (`configure(relay=...)`)."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from llmtrace_sdk.config.announced import MAY_BE_ANNOUNCED

if TYPE_CHECKING:
    from llmtrace_sdk.config import Settings

_OF_A_PROCESS = frozenset({"ml", "judge"})
"""Whether a process has a classifier or a judge of its own is its own business."""


class Policy(msgspec.Struct, frozen=True):
    """What is announced: `version` changes whenever `policy` does, `etag` is made of both."""

    version: int
    policy: dict[str, Any]
    etag: str
    body: bytes


def policy_of(settings: Settings) -> Policy:
    """All that decides about calls and may be announced, as it is in force here."""
    return _made(settings.policy_hash, _Held(settings))


class _Held:
    """Settings as an argument that does not count: the hash beside it says all."""

    __slots__ = ("settings",)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=4)
def _made(_hash: str, held: _Held) -> Policy:
    tree: dict[str, Any] = {}
    for name in MAY_BE_ANNOUNCED:
        group, _, key = name.partition(".")
        if group in _OF_A_PROCESS:
            continue
        value = getattr(held.settings, group)
        if key:
            tree.setdefault(group, {})[key] = _plain(getattr(value, key))
        else:
            tree[group] = _plain(value)
    digest = hashlib.sha256(msgspec.json.encode(tree, order="sorted")).hexdigest()
    version = int(digest[:12], 16)
    body = msgspec.json.encode({"version": version, "policy": tree, "state_url": None})
    return Policy(version, tree, f'"{digest[:32]}"', body)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value
