"""Data that ships with the package: detection rules and list prices, each dated and with its source."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any


def read_toml(name: str) -> dict[str, Any]:
    """A TOML file of this folder as a mapping."""
    return tomllib.loads(files(__name__).joinpath(name).read_text("utf-8"))
