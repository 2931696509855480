"""Configuration files of the LLMTrace proxy: which of its keys are ours, and what is said about the others.

Such a file loads as it is. A key without effect here is neither an error nor passed over in silence: it becomes a
notice, which `llmtrace config validate` and `show` print and which is logged once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from llmtrace_sdk.config import legacy_table as table
from llmtrace_sdk.config.keys import leaves

State = Literal["supported", "renamed", "later", "unused"]
"""Ours too; translated to a key of ours; comes with a later version; has no meaning here."""

PHRASES = {"later": "not in force yet", "unused": "not used here"}
_JUDGES = {"openai": "openai", "anthropic": "anthropic", "vllm": "openai"}


class Known(NamedTuple):
    """A key of the proxy. `advice` says why it has no effect here and what to use instead, or the key of ours."""

    state: State
    advice: str = ""


@lru_cache(maxsize=1)
def known() -> dict[str, Known]:
    """Every key of the proxy that we know of, by its dotted name; a whole group has its own entry."""
    found: dict[str, Known] = {}
    for group, (state, advice, inner) in table.GROUPS.items():
        found[group] = Known(state, advice)
        found |= {f"{group}.{name}": Known(state, advice) for name in inner.split()}
    for name, advice in table.UNUSED.items():
        found[name] = Known("unused", advice)
    for name, advice in table.LATER.items():
        found[name] = Known("later", advice)
    found |= {name: Known("renamed", to) for name, to in table.RENAMED.items()}
    supported = {key.name for key in leaves()} | {key.path[0] for key in leaves()}
    return {name: Known("supported") if name in supported else entry for name, entry in found.items()} | {
        name: Known("supported") for name in table.SUPPORTED.split()
    }


def translate(tree: Mapping[Any, Any]) -> tuple[dict[Any, Any], tuple[str, ...]]:
    """A copy with only our keys and those that nobody knows, and a notice for each key of the proxy left out."""
    ours: dict[Any, Any] = {}
    notices: list[str] = []
    tree = _with_state(tree, notices)
    groups = {key.path[0] for key in leaves()}
    for name, value in tree.items():
        if name not in groups:
            if not _told(name, value, notices):
                ours[name] = value
        elif isinstance(value, Mapping):
            ours[name] = _group(name, value, notices)
        else:
            ours[name] = value
    return ours, tuple(notices)


def _group(name: str, group: Mapping[Any, Any], notices: list[str]) -> dict[Any, Any]:
    if name == "judge":
        group = _judge(group, notices)
    have = {key.path[1] for key in leaves() if key.path[0] == name and len(key.path) > 1}
    return {k: v for k, v in group.items() if k in have or not _told(f"{name}.{k}", v, notices)}


def _told(name: object, value: Any, notices: list[str]) -> bool:
    """Whether this is a key of the proxy without effect here; then a notice is made of it."""
    entry = known().get(name) if isinstance(name, str) else None
    if entry is None or entry.state not in PHRASES:
        return False
    on = isinstance(value, Mapping) and value.get("enabled") is True
    notices.append(f"{name}: {PHRASES[entry.state]}{', though it is switched on' if on else ''}; {entry.advice}")
    if name in table.GROUPS and isinstance(value, Mapping):
        notices += [f"{name}.{key}: not a key that is known" for key in value if not _is_known(f"{name}.{key}")]
    return True


def _is_known(name: str) -> bool:
    return name in known() or any(other.startswith(f"{name}.") for other in known())


def _with_state(tree: Mapping[Any, Any], notices: list[str]) -> Mapping[Any, Any]:
    """The proxy has its cache beside its storage, and only in production; ours has the state in a group of its own."""
    storage = tree.get("storage")
    if not isinstance(storage, Mapping):
        return tree
    ours = {key: value for key, value in storage.items() if key != "redis_url"}
    if ours.get("profile") == "sqlite":
        ours["profile"] = "lite"
    state, url = tree.get("state", {}), storage.get("redis_url")
    if url is None or not isinstance(state, Mapping):
        return {**tree, "storage": ours}
    if "url" in state or ours.get("profile") != "production":
        notices.append("storage.redis_url: not used here; set state.url")
        return {**tree, "storage": ours}
    return {**tree, "storage": ours, "state": {**state, "url": url}}


def _judge(group: Mapping[Any, Any], notices: list[str]) -> Mapping[Any, Any]:
    """The proxy keeps what its judge needs in a group per backend; ours has one judge."""
    backend = group.get("backend")
    backend = backend.lower() if isinstance(backend, str) else None
    if backend is None or "model" in group:
        return group
    if backend not in _JUDGES:
        notices.append(f"judge.backend: not used here; there is no backend {backend[:40]!r}, so the judge stays off")
        return {**{k: v for k, v in group.items() if k != "backend"}, "enabled": False}
    inner = group.get(backend)
    given = inner if isinstance(inner, Mapping) else {}
    ours = {key: given[key] for key in ("model", "base_url") if key in given}
    if backend == "vllm" and isinstance(ours.get("base_url"), str):
        ours["base_url"] = f"{ours['base_url'].rstrip('/').removesuffix('/v1')}/v1"
    taken = {"backend": None, backend: None}
    notices += [f"judge.{backend}.{key}: not used here" for key in given if key not in ours]
    return {"provider": _JUDGES[backend], **ours, **{k: v for k, v in group.items() if k not in taken}}
