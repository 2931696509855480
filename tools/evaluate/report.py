"""What an evaluation found: printed as it comes, kept as aggregated figures, and held against its targets."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

NAME: Final = 40


class Target(NamedTuple):
    """What a figure must be: at least, or at most, so much."""

    bound: float
    at_most: bool = False

    def holds(self, value: float) -> bool:
        """Whether the figure is good enough."""
        return value <= self.bound if self.at_most else value >= self.bound

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.bound:g}"


class Report:
    """Gathers figures section by section."""

    def __init__(self) -> None:
        self.sections: dict[str, dict[str, Any]] = {}
        self.missed: list[str] = []
        self.met = 0
        self._title = ""
        self._section: dict[str, Any] = {}

    def section(self, name: str, title: str, *about: str) -> None:
        """Begin a section; `about` are sentences on how its figures were made."""
        self._section = self.sections[name] = {}
        self._title = name
        _print(f"\n{title}", *(f"  {line}" for line in about))

    def table(self, name: str, head: Sequence[str], rows: Iterable[Sequence[str | float | None]]) -> None:
        """Figures without a target of their own; the first column names the row."""
        kept = self._section[name] = {}
        _print("", "  " + f"{head[0]:<{NAME}}" + "".join(f"{title:>10}" for title in head[1:]))
        for first, *values in rows:
            kept[first] = {key: _rounded(value) for key, value in zip(head[1:], values, strict=True)}
            _print("  " + f"{first:<{NAME}}" + "".join(f"{_shown(value):>10}" for value in values))

    def check(self, what: str, value: float, target: Target) -> None:
        """A figure that has a target."""
        good = target.holds(value)
        self.met += good
        self.missed += [] if good else [f"{self._title}: {what}"]
        self._section.setdefault("targets", {})[what] = {
            "value": _rounded(value),
            "target": str(target),
            "met": good,
        }
        _print(f"  {'pass' if good else 'MISS'}  {what:<{NAME + 14}}{value:>8.4f}  {target}")

    def figure(self, what: str, value: float) -> None:
        """A figure without a target."""
        self._section.setdefault("figures", {})[what] = round(value, 4)
        _print(f"        {what:<{NAME + 14}}{value:>8.4f}")

    def note(self, text: str) -> None:
        """A remark, such as what could not be measured."""
        self._section.setdefault("notes", []).append(text)
        _print(f"  note: {text}")

    def write(self, path: Path) -> None:
        """Keep all figures as JSON."""
        path.write_text(json.dumps({"sections": self.sections, "missed": self.missed}, indent=1) + "\n", "utf-8")

    def summary(self, seconds: float) -> None:
        """The last lines."""
        _print(f"\n{self.met} of {self.met + len(self.missed)} targets met, in {seconds:.0f} seconds")
        _print(*(f"  missed: {what}" for what in self.missed))


def _shown(value: str | float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if isinstance(value, float) else value


def _rounded(value: str | float | None) -> str | float | None:
    return round(value, 4) if isinstance(value, float) else value


def _print(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
