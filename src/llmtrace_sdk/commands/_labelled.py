"""Labelled rows of the files that a user names, checked line by line."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from llmtrace_sdk.core.model import Channel
from llmtrace_sdk.scanning import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

SHOWN: Final = 10
"""How many problems are told one by one."""

LONGEST_NAME: Final = 40
"""Characters of a source's name, or of a value that is wrong, that are shown."""

_GZIP: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Labelled(msgspec.Struct, frozen=True):
    """One text; `attack` is what somebody says it is."""

    text: str
    attack: bool
    channel: Channel
    source: str


class BadRows(ValueError):
    """Files or lines that could not be read; `problems` says which, and why, without their text."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(self.problems))


class _Row(msgspec.Struct):
    """One line as it is written; other fields are allowed and not looked at."""

    text: str
    label: bool | int | float
    channel: str | None = None
    source: str | None = None


def read(paths: Iterable[str]) -> list[Labelled]:
    """All rows of JSON lines files, gzipped or not. A row without a source gets the name of its file for one.

    Raises `BadRows` naming files and lines (the first ten of them).
    """
    rows: list[Labelled] = []
    problems: list[str] = []
    for path in map(Path, paths):
        try:
            with path.open("rb") as file:
                _read_into(rows, problems, path, _plain(file))
        except (OSError, EOFError, zlib.error) as error:
            problems.append(f"{path}: {getattr(error, 'strerror', None) or error}")
    if problems:
        more = len(problems) - SHOWN
        raise BadRows([*problems[:SHOWN], f"and {more} more"] if more > 0 else problems)
    return rows


def shown(name: str) -> str:
    """A name that comes from a file, on one line of a terminal."""
    short = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
    return "".join(sign if sign.isprintable() else "?" for sign in short)


def _plain(file: BinaryIO) -> Iterable[bytes]:
    begin = file.read(2)
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if begin == _GZIP else file


def _read_into(rows: list[Labelled], problems: list[str], path: Path, lines: Iterable[bytes]) -> None:
    for number, line in enumerate(lines, 1):
        content = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        if not content.strip():
            continue
        try:
            rows.append(_labelled(msgspec.json.decode(content, type=_Row), path.name))
        except ValueError as error:  # what msgspec raises is one, too
            problems.append(f"{path}, line {number}: {error}")


def _labelled(row: _Row, file: str) -> Labelled:
    if row.label not in (0, 1):
        raise ValueError("label must be 1 (attack) or 0 (benign)")
    channel = next((known for known in CHANNELS if known == (row.channel or "user")), None)
    if channel is None:
        raise ValueError(f"unknown channel {shown(row.channel or '')!r}; use one of {', '.join(CHANNELS)}")
    return Labelled(row.text, row.label == 1, channel, row.source or file)
