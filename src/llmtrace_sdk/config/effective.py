"""What reading the configuration gives."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from llmtrace_sdk.config.settings import Settings

_NONE: Final[Mapping[tuple[str, ...], str]] = MappingProxyType({})


class Loaded(NamedTuple):
    """Settings, and where they come from.

    `places`: `file`, `environment`, `announced` or `keywords` by the path of each key that is set. `notices`: keys that
    have no effect here; `strange`: the same for environment variables. `file` and `content`: what was read.
    """

    settings: Settings
    places: Mapping[tuple[str, ...], str] = _NONE
    notices: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    file: Path | None = None
    content: bytes = b""
