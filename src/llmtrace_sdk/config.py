"""Settings from keywords, environment, file and defaults, in that order of precedence; the only reader of os.environ.

The groups are plain frozen dataclasses that live with what they configure. pydantic checks them, and is imported only
when there is something to check: with defaults alone it never is.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, get_type_hints

from llmtrace_sdk.core.fusion import OperatingPoint  # noqa: TC001 - pydantic reads it
from llmtrace_sdk.core.policy import EnforcementOptions
from llmtrace_sdk.core.tiers import JudgeOptions, MLOptions
from llmtrace_sdk.errors import ConfigError
from llmtrace_sdk.telemetry.options import TelemetryOptions

if TYPE_CHECKING:
    from pydantic import TypeAdapter

ENV_PREFIX: Final = "LLMTRACE_"
CAPTURE_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
# Environment names that came from elsewhere and so do not follow the path of the key.
_ALIASES: Final = {
    CAPTURE_VARIABLE: ("telemetry", "capture"),
    "LLMTRACE_SPANS": ("telemetry", "spans"),
    "LLMTRACE_CONTENT": ("telemetry", "content"),
    "LLMTRACE_EMIT_EVENTS": ("telemetry", "emit_events"),
    "LLMTRACE_SEMCONV_GUARDRAIL": ("telemetry", "semconv_guardrail"),
    "LLMTRACE_SEMCONV": ("telemetry", "semconv_metrics"),
}
# Variables with our prefix that are not settings.
_NOT_SETTINGS: Final = {"LLMTRACE_CONFIG", "LLMTRACE_DATA", "LLMTRACE_JAEGER"}
_SHORTHANDS: Final = {"otlp": ("telemetry", "otlp"), "service_name": ("telemetry", "service_name")}


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionOptions:
    """Which detectors run (all when `detectors` is not given), and how much text they read per call (in characters).

    `operating_point` is how high an injection score must be to count: `high_recall` from 0.5 (about 5 % of benign texts
    reach it), `balanced` from 0.75 (1 %), `high_precision` from 0.9 (0.1 %).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    detectors: tuple[str, ...] | None = None
    max_analysis_text_bytes: int = 1 << 20
    operating_point: OperatingPoint = "balanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Bodies larger than the two limits (bytes, after decoding) pass uninspected."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enforcement: EnforcementOptions = EnforcementOptions()
    security_analysis: DetectionOptions = DetectionOptions()
    ml: MLOptions = MLOptions()
    judge: JudgeOptions = JudgeOptions()
    telemetry: TelemetryOptions = TelemetryOptions()
    max_request_size_bytes: int = 50 << 20
    max_response_size_bytes: int = 50 << 20


def load(config: str | os.PathLike[str] | Mapping[str, Any] | Settings | None = None, **settings: Any) -> Settings:
    """The effective settings. Raises `ConfigError` with every problem at once.

    `config` is a path to a YAML or TOML file, a mapping of the same shape, or ready `Settings` (then nothing else is
    read). Without it, `LLMTRACE_CONFIG` may name a file.
    """
    if isinstance(config, Settings):
        if settings:
            raise ConfigError(
                [f"{name} cannot be given beside ready Settings; use dataclasses.replace" for name in settings]
            )
        return config
    tree = _from_mapping(config) if isinstance(config, Mapping) else _from_file(config)
    _merge(tree, _from_environment(os.environ))
    _merge(tree, _from_keywords(settings))
    return _checked(tree) if tree else Settings()


def sources(config: str | os.PathLike[str] | None = None) -> dict[tuple[str, ...], str]:
    """Where each setting that is not a default comes from: `file` or `environment`, by path."""
    places: dict[tuple[str, ...], str] = {}
    for name, tree in (("file", _from_file(config)), ("environment", _from_environment(os.environ))):
        for key, value in tree.items():
            inner = [(key, k) for k in value] if isinstance(value, Mapping) else [(key,)]
            places.update(dict.fromkeys(inner, name))
    return places


def secret(name: str) -> str | None:
    """The value of an environment variable that a setting names."""
    return os.environ.get(name)


def schema() -> dict[str, Any]:
    """The JSON Schema of a configuration file."""
    return _adapter().json_schema()


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Settings]:
    from pydantic import TypeAdapter

    return TypeAdapter(Settings)


def _checked(tree: dict[str, Any]) -> Settings:
    from pydantic import ValidationError

    try:
        settings = _adapter().validate_python(tree)
    except ValidationError as error:
        raise ConfigError(
            [_sentence(e["loc"], e["type"], e["msg"]) for e in error.errors(include_input=False)]
        ) from None
    groups = (settings.enforcement, settings.ml, settings.judge)
    problems = [*(problem for group in groups for problem in group.problems()), *_detector_problems(settings)]
    if problems:
        raise ConfigError(problems)
    return settings


def _sentence(place: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(str(part) for part in place)
    if kind not in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{name}: {message[:1].lower()}{message[1:]}"
    known = ", ".join(_keys_at(place[:-1]))
    return f"{name}: unknown key{f' (known here: {known})' if known else ''}"


def _keys_at(place: tuple[int | str, ...]) -> list[str]:
    kind: Any = Settings
    for part in place:
        if isinstance(part, str) and is_dataclass(kind):
            kind = get_type_hints(kind).get(part)
    return [field.name for field in fields(kind)] if is_dataclass(kind) else []


def _detector_problems(settings: Settings) -> list[str]:
    from llmtrace_sdk import detectors

    known = detectors.available()
    names = settings.security_analysis.detectors or ()
    return [
        f"security_analysis.detectors: unknown detector {n!r} (known: {', '.join(known)})"
        for n in names
        if n not in known
    ]


def _from_file(path: str | os.PathLike[str] | None) -> dict[str, Any]:
    name = path or os.environ.get("LLMTRACE_CONFIG")
    if not name:
        return {}
    file = Path(name)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"cannot read {file}: {error}"]) from None
    try:
        tree = _parsers()[file.suffix.lower()](text)
    except KeyError:
        raise ConfigError([f"{file}: the file name must end in .yaml, .yml or .toml"]) from None
    except ValueError as error:
        raise ConfigError([f"{file}: {error}"]) from None
    if not isinstance(tree, Mapping | None):
        raise ConfigError([f"{file}: the top of the file must be a mapping of keys to values"])
    return _from_mapping(tree or {})


def _parsers() -> dict[str, Any]:
    import tomllib

    def yaml(text: str) -> Any:
        import yaml

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from None

    return {".yaml": yaml, ".yml": yaml, ".toml": tomllib.loads}


def _from_mapping(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A copy, with severities and modes in any letter case made lower case, as files of the older proxy write them."""
    return {key: _plain(key, value) for key, value in tree.items()}


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return _from_mapping(value)
    if isinstance(value, list | tuple):
        return [_plain(key, item) for item in value]
    return value.lower() if isinstance(value, str) and key in ("min_severity", "mode", "action") else value


def _from_keywords(settings: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        group, _, key = ".".join(_SHORTHANDS.get(name, (name,))).partition(".")
        _merge(tree, {group: {key: value}} if key else _from_mapping({group: value}))
    return tree


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    paths = _environment_paths()
    tree: dict[str, Any] = {}
    for name, text in environ.items():
        path = paths.get(name)
        if path is not None:
            _merge(tree, _from_mapping({path[0]: text if len(path) == 1 else {path[1]: _value(path[1], text)}}))
        elif name.startswith(ENV_PREFIX) and name not in _NOT_SETTINGS:
            # not an error: an environment is shared, and the variable may be meant for another program
            logging.getLogger("llmtrace").warning("environment variable %s is not a setting of llmtrace-sdk", name)
    return tree


def _value(key: str, text: str) -> Any:
    if key == "otlp":
        return {"1": True, "true": True, "0": False, "false": False}.get(text.lower(), text)
    return [part.strip() for part in text.split(",")] if key in ("detectors", "labels", "propagate_hosts") else text


def _environment_paths() -> dict[str, tuple[str, ...]]:
    """LLMTRACE_<KEY> for a key at the top, LLMTRACE_<GROUP>_<KEY> for one in a group, and the aliases."""
    paths: dict[str, tuple[str, ...]] = dict(_ALIASES)
    hints = get_type_hints(Settings)
    for field in fields(Settings):
        if is_dataclass(hints[field.name]):
            for inner in fields(hints[field.name]):
                if inner.name != "categories":
                    paths[f"{ENV_PREFIX}{field.name}_{inner.name}".upper()] = (field.name, inner.name)
        else:
            paths[f"{ENV_PREFIX}{field.name}".upper()] = (field.name,)
    return paths


def _merge(into: dict[str, Any], tree: Mapping[str, Any]) -> None:
    for key, value in tree.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
