"""Settings from keywords, announcement, environment, file and defaults, in that order; the only reader of os.environ.

The groups are plain frozen dataclasses that live with what they configure. pydantic checks them, and is imported only
when there is something to check: with defaults alone it never is.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmtrace_sdk.config.effective import Loaded
from llmtrace_sdk.config.files import content
from llmtrace_sdk.config.masking import without_values
from llmtrace_sdk.config.settings import DetectionOptions, Settings
from llmtrace_sdk.errors import ConfigError

__all__ = [
    "DetectionOptions",
    "Loaded",
    "Settings",
    "content",
    "file_of",
    "load",
    "loaded",
    "read",
    "schema",
    "secret",
    "sources",
    "state_secret",
    "tell",
    "without_values",
]

_log = logging.getLogger("llmtrace")
_told: set[str] = set()


def load(config: str | os.PathLike[str] | Mapping[str, Any] | Settings | None = None, **settings: Any) -> Settings:
    """The effective settings. Raises `ConfigError` with every problem at once.

    `config` is a path to a YAML or TOML file, a mapping of the same shape, or ready `Settings` (then nothing else is
    read). Without it, `LLMTRACE_CONFIG` may name a file. Keys of the LLMTrace proxy that have no effect here, and
    variables that nobody knows, are logged, once.
    """
    return loaded(config, settings).settings


def loaded(config: str | os.PathLike[str] | Mapping[str, Any] | Settings | None, settings: Mapping[str, Any]) -> Loaded:
    """What `load` gives, with where it came from."""
    if not isinstance(config, Settings):
        return tell(read(config, settings))
    problems = [f"{name} cannot be given beside ready Settings; use dataclasses.replace" for name in settings]
    problems = problems or config.problems()
    if problems:
        raise ConfigError(problems)
    return Loaded(config)


def read(
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    keywords: Mapping[str, Any] | None = None,
    *,
    content: bytes | None = None,
    announced: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> Loaded:
    """The effective settings with where each came from; nothing is logged. Raises `ConfigError`.

    `content` stands for the bytes of the file, `announced` is what another process has announced. `quiet`: the problems
    do not say which values were given.
    """
    file = file_of(config)
    given = keywords or announced or isinstance(config, Mapping)
    if file is None and not given and not _concerned(os.environ):
        return Loaded(Settings())
    from llmtrace_sdk.config import layers

    mapping = config if isinstance(config, Mapping) else None
    return layers.load(file, content, mapping, os.environ, keywords or {}, announced=announced or {}, quiet=quiet)


def file_of(config: str | os.PathLike[str] | Mapping[str, Any] | Settings | None) -> Path | None:
    """The file that settings are read from: the one given, or that of `LLMTRACE_CONFIG`; None when there is none."""
    if isinstance(config, Mapping | Settings):
        return None
    name = config or os.environ.get("LLMTRACE_CONFIG")
    return Path(name).absolute() if name else None


def tell(found: Loaded) -> Loaded:
    """Log what has no effect, once for each set of notices."""
    text = "; ".join((*found.notices, *found.strange))
    if text and text not in _told:
        _told.add(text)
        _log.warning("llmtrace: some of the configuration has no effect (see `llmtrace config validate`): %s", text)
    return found


def sources(config: str | os.PathLike[str] | None = None) -> dict[tuple[str, ...], str]:
    """Where each setting that is not a default comes from: `file` or `environment`, by path."""
    return dict(read(config).places)


def secret(name: str) -> str | None:
    """The value of an environment variable that a setting names."""
    return os.environ.get(name)


def state_secret(settings: Settings) -> bytes:
    """What names in the keys of the shared state are hashed with (`state.secret_env`); empty when it is not set."""
    return os.fsencode(secret(settings.state.secret_env) or "")


def schema() -> dict[str, Any]:
    """The JSON Schema of a configuration file, with descriptions and defaults."""
    from llmtrace_sdk.config.json_schema import schema as made

    return made()


def _concerned(environ: Mapping[str, str]) -> bool:
    return any(name.startswith(("LLMTRACE_", "OTEL_INSTRUMENTATION_GENAI_")) for name in environ)
