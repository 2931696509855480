"""Imported by Python itself at the start of a program run with `llmtrace run`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

_HERE = str(Path(__file__).parent)


def _start() -> None:
    import llmtrace_sdk

    try:
        llmtrace_sdk.install()
    except llmtrace_sdk.ConfigError as error:
        # a program that somebody meant to protect must not run unprotected
        sys.exit(f"llmtrace run: {error}")


def _customise_as_before() -> None:
    """Run the sitecustomize that this one stands in front of, if there is one."""
    sys.path[:] = [place for place in sys.path if place != _HERE]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import_module("sitecustomize")
    except ModuleNotFoundError:
        if ours is not None:
            sys.modules["sitecustomize"] = ours


_customise_as_before()
_start()
