"""A local server that speaks the wire formats of model providers, for the demo, the tests and the benchmarks.

No answer comes from a model: every reply is one of a few fixed sentences, chosen and disturbed by a scenario
(see `scenario`). Nothing is logged and nothing leaves 127.0.0.1. Importing this package starts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .launch import FakeProvider
    from .server import run, serve

__all__ = ["FakeProvider", "run", "serve"]

_HOMES = {"FakeProvider": "launch", "run": "server", "serve": "server"}


def __getattr__(name: str) -> Any:
    """Imports the server only when it is used, so that the command line starts quickly."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
