"""The detectors: one file each. File name, registered name, configuration key and finding type are the same word.

A third party registers its own as an entry point of the group `llmtrace.detectors`, whose object makes the detector.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from llmtrace_sdk.typing import Detector

GROUP: Final = "llmtrace.detectors"


def available() -> tuple[str, ...]:
    """The names of all detectors that could be built."""
    return tuple(sorted(_ours() | {point.name for point in entry_points(group=GROUP)}))


def build(names: Iterable[str] | None = None, **options: Mapping[str, Any]) -> tuple[Detector, ...]:
    """Make the named detectors, or all; `options` are keyword arguments by detector name.

    Raises `ConfigError` for a name that is unknown or registered twice, and for options that a detector does not take.
    """
    makers = _makers()
    wanted = tuple(dict.fromkeys(makers if names is None else names))
    known = ", ".join(sorted(makers))
    problems = [f"unknown detector {name!r} (known: {known})" for name in (*wanted, *options) if name not in makers]
    if problems:
        raise ConfigError(problems)
    built = []
    for name in wanted:
        try:
            built.append(makers[name]()(**options.get(name, {})))
        except TypeError as error:
            problems.append(f"detector {name}: {error}")
    if problems:
        raise ConfigError(problems)
    return tuple(built)


def _ours() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")}


def _makers() -> dict[str, Callable[[], Callable[..., Detector]]]:
    """By name, how to load the function that makes the detector: nothing is imported that is not used."""
    makers = {name: _our_maker(name) for name in sorted(_ours())}
    for point in entry_points(group=GROUP):
        if point.name in makers:
            raise ConfigError([f"detector {point.name!r} is registered twice, once more by {point.value}"])
        makers[point.name] = point.load
    return makers


def _our_maker(name: str) -> Callable[[], Callable[..., Detector]]:
    def load() -> Callable[..., Detector]:
        build: Callable[..., Detector] = import_module(f"{__name__}.{name}").build
        return build

    return load
