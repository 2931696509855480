"""Configuration files: bytes -> mapping. What is wrong with a file is told by line, without quoting it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.config.masking import without_values
from llmtrace_sdk.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE_LIMIT: Final = 1 << 20


def content(file: Path) -> bytes:
    """The bytes of a file. Raises `ConfigError` when it cannot be read, is no plain file or has over 1 MiB."""
    try:
        if not file.is_file():  # a pipe or a device could block for ever
            reason = "it is no plain file" if file.exists() else "there is no such file"
            raise ConfigError([f"cannot read {file}: {reason}"])
        with file.open("rb") as opened:
            found = opened.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise ConfigError([f"cannot read {file}: {error.strerror or type(error).__name__}"]) from None
    if len(found) > SIZE_LIMIT:
        raise ConfigError([f"cannot read {file}: it has more than {SIZE_LIMIT} bytes"])
    return found


def parse(file: Path, data: bytes) -> dict[str, Any]:
    """The mapping that a file holds; its suffix tells YAML from TOML. Raises `ConfigError`."""
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise ConfigError([f"{file}: the file name must end in .yaml, .yml or .toml"])
    try:
        tree = reader(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError([f"{file}: byte {error.start} is not UTF-8"]) from None
    except RecursionError:
        raise ConfigError([f"{file}: it is nested too deeply"]) from None
    except ValueError as error:
        raise ConfigError([f"{file}: {error}"]) from None
    if not isinstance(tree, Mapping | None):
        raise ConfigError([f"{file}: the top of the file must be a mapping of keys to values"])
    return dict(tree or {})


def _toml(text: str) -> Any:
    import tomllib

    try:  # both parsers quote what they stumbled over, and that may be a password
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(without_values(str(error))) from None


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, Loader=_loader())  # noqa: S506 - a safe loader that refuses keys given twice
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(place + without_values(error.problem or "not YAML")) from None
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML ({type(error).__name__})") from None


def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML lets the last of two equal keys win; whoever wrote both meant something else."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key, _ in node.value:
                if key.value == "<<" or not isinstance(key, yaml.ScalarNode):
                    continue
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, "a key is given twice", key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    return Loader


_READERS: Final[dict[str, Callable[[str], Any]]] = {".yaml": _yaml, ".yml": _yaml, ".toml": _toml}
