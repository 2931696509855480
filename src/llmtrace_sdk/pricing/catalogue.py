"""The price list: which of its models a name means, and what that costs on a day."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from llmtrace_sdk.core.cost import MODEL_LIMIT, Price
from llmtrace_sdk.pricing.names import LISTED, spellings

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT: Final = "llmtrace-prices/1"
SECONDS_A_DAY: Final = 86_400


class Period(Struct, frozen=True, omit_defaults=True):
    """A price and when it holds: from a day on (days since 1970, UTC), and in some hours (minutes of the day, UTC)."""

    price: Price
    since: int | None = None
    hours: tuple[int, int] | None = None

    def holds(self, at_s: float) -> bool:
        """Whether this is the price at a time, given in seconds since 1970."""
        day, second = divmod(at_s, SECONDS_A_DAY)
        if self.since is not None and day < self.since:
            return False
        if self.hours is None:
            return True
        minute, (start, end) = second / 60, self.hours
        return start <= minute < end if start <= end else minute >= start or minute < end


class Listed(Struct, frozen=True):
    """A model of the list. `match` is a clause about its names (`matches`); `prices` are in the order of time, and none
    where it is not paid by tokens.
    """

    id: str
    match: Any
    prices: tuple[Period, ...]

    def at(self, at_s: float) -> Price | None:
        """The price at a time; the first one for times before it."""
        first = self.prices[0].price if self.prices else None
        return next((period.price for period in reversed(self.prices) if period.holds(at_s)), first)


class Vendor(Struct, frozen=True, omit_defaults=True):
    """The models of a vendor. `others` are the vendors whose models it resells at their prices."""

    models: tuple[Listed, ...]
    others: tuple[str, ...] = ()


class _Index:
    """A vendor's models by name, so that a name costs little to look up, and one that nobody has heard of too."""

    __slots__ = ("_clauses", "_models", "_whole", "others")

    def __init__(self, vendor: Vendor) -> None:
        self.others = vendor.others
        self._models = vendor.models
        self._whole: dict[str, int] = {}
        self._clauses: list[tuple[int, Any]] = []
        for number, model in enumerate(vendor.models):
            for one in model.match if isinstance(model.match, list) else [model.match]:
                if isinstance(one, str) and one[:1] == "=":
                    self._whole.setdefault(one[1:], number)
                else:
                    self._clauses.append((number, one))

    def first(self, names: Sequence[str]) -> Listed | None:
        """The model that the first of these names means which means any: the first of the list that matches."""
        for name in names:
            end = len(self._models)
            whole = self._whole.get(name, end)
            number = next((n for n, one in self._clauses if n >= whole or matches(one, name)), end)
            if min(number, whole) < end:
                return self._models[min(number, whole)]
        return None


class _File(Struct):
    format: str
    source: str
    as_of: str
    vendors: dict[str, msgspec.Raw]


class Catalogue:
    """A price list; a vendor's part of it is read when it is first asked for."""

    def __init__(self, source: str, as_of: str, vendors: dict[str, bytes]) -> None:
        self.source = source
        self.as_of = as_of
        self._vendors = vendors
        self.vendor = lru_cache(maxsize=64)(self._vendor)

    @classmethod
    def read(cls, data: bytes) -> Self:
        """A list as `pricing.snapshot` writes it. Raises `ValueError` for anything else."""
        file = msgspec.json.decode(data, type=_File)
        if file.format != FORMAT:
            raise ValueError(f"the format is not {FORMAT}")
        return cls(file.source, file.as_of, {name: bytes(raw) for name, raw in file.vendors.items()})

    @property
    def vendors(self) -> tuple[str, ...]:
        """The vendors in the list, by the names that it gives them."""
        return tuple(self._vendors)

    def find(self, provider: str, model: str) -> Listed | None:
        """The model that a name means at a provider (gen_ai.provider.name); None when it is not listed."""
        listed = LISTED.get(provider)
        vendor = self.vendor(listed) if listed else None
        if vendor is None or len(model) > MODEL_LIMIT:
            return None
        names = spellings(model)
        return vendor.first(names) or self._resold(vendor, names)

    def _resold(self, vendor: _Index, names: Sequence[str]) -> Listed | None:
        others = (other for name in vendor.others if (other := self.vendor(name)))
        found = next((found for other in others if (found := other.first(names))), None)
        return found and _without_tiers(found)

    def _vendor(self, name: str) -> _Index | None:
        raw = self._vendors.get(name)
        return None if raw is None else _Index(msgspec.json.decode(raw, type=Vendor))


def _without_tiers(model: Listed) -> Listed:
    """A reseller has the vendor's usual prices; what it takes for other tiers is not listed."""
    usual = (replace(period, price=replace(period.price, tiers={})) for period in model.prices)
    return replace(model, prices=tuple(usual))


def matches(clause: Any, name: str) -> bool:
    """Whether a name fulfils a clause: `=whole`, `^beginning`, `$end`, `*part`, `~regular expression`, a list of
    clauses of which one must hold, or a mapping `{"all": [...]}`.
    """
    if isinstance(clause, str):
        return _holds(clause[:1], clause[1:], name)
    if isinstance(clause, dict):
        return all(matches(one, name) for one in clause["all"])
    return any(matches(one, name) for one in clause)


def _holds(sign: str, text: str, name: str) -> bool:
    if sign == "=":
        return name == text
    if sign == "^":
        return name.startswith(text)
    if sign == "$":
        return name.endswith(text)
    if sign == "*":
        return text in name
    return re.search(text, name) is not None
