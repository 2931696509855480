"""Reading price lists: the one that ships, and the user's price file."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmtrace_sdk.core.costing import RATE_NAMES, CustomPrice, wrong_price
from llmtrace_sdk.errors import ConfigError
from llmtrace_sdk.pricing.catalogue import FORMAT, Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE_LIMIT: Final = 16 << 20
_KEYS: Final = frozenset({*RATE_NAMES, "tier_factors"})


@lru_cache(maxsize=1)
def bundled() -> Catalogue:
    """The list that ships with the package."""
    return Catalogue.read(files("llmtrace_sdk.data").joinpath("prices.json").read_bytes())


def price_file(path: str) -> Catalogue | dict[str, CustomPrice]:
    """The user's file: a whole list, or prices by model. Raises `ConfigError` telling all that is wrong with it."""
    file = Path(path).expanduser()
    tree = _parsed(file, _content(file))
    if not isinstance(tree, dict):
        raise ConfigError([f"{file}: the top of the file must be a mapping of model names to prices"])
    if tree.get("format") == FORMAT:
        return _catalogue(file, tree)
    found: dict[str, CustomPrice] = {}
    problems: list[str] = []
    for name, row in tree.items():
        price = _price(row)
        if price is None:
            problems.append(f"{file}: {name}: give input_per_million, and no keys but {', '.join(sorted(_KEYS))}")
            continue
        problems += wrong_price(f"{file}: {name}", str(name), price)
        found[str(name)] = price
    if problems:
        raise ConfigError(problems)
    return found


def _catalogue(file: Path, tree: dict[str, Any]) -> Catalogue:
    try:
        found = Catalogue.read(msgspec.json.encode(tree))
        for vendor in found.vendors:
            found.vendor(vendor)
    except (ValueError, TypeError) as error:
        raise ConfigError([f"{file}: no price list that can be read: {error}"]) from None
    return found


def _price(row: Any) -> CustomPrice | None:
    if not isinstance(row, dict) or not row.keys() <= _KEYS:
        return None
    try:
        return msgspec.convert(row, CustomPrice)
    except msgspec.ValidationError:
        return None


def _content(file: Path) -> bytes:
    try:
        if not file.is_file():  # a pipe or a device could block for ever
            raise ConfigError([f"cannot read {file}: there is no such file"])
        with file.open("rb") as opened:
            data = opened.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise ConfigError([f"cannot read {file}: {error.strerror or type(error).__name__}"]) from None
    if len(data) > SIZE_LIMIT:
        raise ConfigError([f"cannot read {file}: it has more than {SIZE_LIMIT} bytes"])
    return data


def _parsed(file: Path, data: bytes) -> Any:
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise ConfigError([f"{file}: the file name must end in {', '.join(_READERS)}"])
    try:
        return reader(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{file}: {error}"]) from None


def _yaml(data: bytes) -> Any:
    import yaml

    try:
        return yaml.safe_load(data.decode("utf-8-sig"))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


_READERS: Final[dict[str, Callable[[bytes], Any]]] = {
    ".yaml": _yaml,
    ".yml": _yaml,
    ".json": msgspec.json.decode,
    ".toml": lambda data: tomllib.loads(data.decode("utf-8-sig")),
}
