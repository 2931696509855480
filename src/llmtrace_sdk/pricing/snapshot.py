"""Makes a price list from the installed genai-prices: `python -m llmtrace_sdk.pricing.snapshot > prices.json`.

Needs `pip install llmtrace-sdk[prices]`. The list that ships was made so; a newer one can be named as
`cost_estimation.pricing_file`. Prices that no longer hold are left out, and so are those of sound, images and pages,
which no usage tells.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time, timedelta
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmtrace_sdk.core.cost import Price, Rates, Tariff
from llmtrace_sdk.pricing.catalogue import FORMAT, Listed, Period, Vendor
from llmtrace_sdk.pricing.names import LISTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_RATES: Final = {
    "input": ("input_mtok",),
    "output": ("output_mtok",),
    "cache_read": ("cache_read_mtok",),
    "cache_write": ("cache_write_mtok", "cache_write_5m_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok",),
    "reasoning": ("output_reasoning_mtok",),
    "requests": ("requests_kcount",),
}
_CONTEXTS: Final = ("service_tier", "processing", "speed")
_SIGNS: Final = {"equals": "=", "starts_with": "^", "ends_with": "$", "contains": "*", "regex": "~"}
DECIMALS: Final = 6
"""What `core.cost` reckons with; some resellers' prices are twelfths."""

_EPOCH: Final = date(1970, 1, 1)


def main() -> None:
    """Write the list of today to standard output."""
    today = datetime.now(UTC).date()
    providers = import_module("genai_prices.data").providers
    sys.stdout.write(made(providers, today, f"genai-prices {version('genai-prices')} (MIT)").decode() + "\n")


def made(providers: Iterable[Any], today: date, source: str) -> bytes:
    """The list as JSON, one vendor a line."""
    known = {provider.id: provider for provider in providers}
    needed = set(LISTED.values()) & known.keys()
    needed |= {other for name in needed for other in known[name].fallback_model_providers or ()}
    head = {"format": FORMAT, "source": source, "as_of": today.isoformat()}
    vendors = [
        msgspec.json.encode(name) + b": " + msgspec.json.encode(_vendor(known[name], today)) for name in sorted(needed)
    ]
    return msgspec.json.encode(head)[:-1] + b',"vendors":{\n' + b",\n".join(vendors) + b"\n}}"


def _vendor(provider: Any, today: date) -> Vendor:
    models = (Listed(m.id, clause(m.match), tuple(_periods(m, today))) for m in provider.models)
    return Vendor(tuple(models), tuple(provider.fallback_model_providers or ()))


def clause(match: Any) -> Any:
    """A condition of the library's in the form of `catalogue.matches`."""
    fields: dict[str, Any] = vars(match)
    if "or_" in fields:
        return [clause(one) for one in fields["or_"]]
    if "and_" in fields:
        return {"all": [clause(one) for one in fields["and_"]]}
    ((name, text),) = fields.items()
    return _SIGNS[name] + (text if name == "regex" else text.lower())


def _periods(model: Any, today: date) -> Iterator[Period]:
    """What a model costs from today on: at the usual time, and in the hours that have prices of their own."""
    limits = [*_constraints(model)]
    days = sorted({limit.start_date for limit in limits if hasattr(limit, "start_date")})
    hours = [(limit.start_time, limit.end_time) for limit in limits if hasattr(limit, "start_time")]
    past = [day for day in days if day <= today]
    for day in [past[-1] if past else None, *(day for day in days if day > today)]:
        yield from _day(model, day, hours, day or today)


def _day(model: Any, since: date | None, hours: list[tuple[time, time]], day: date) -> Iterator[Period]:
    first = None if since is None else (since - _EPOCH).days
    usual = _price(model, datetime.combine(day, _outside(hours), UTC))
    if usual is None:
        return
    yield Period(usual, first)
    for start, end in hours:
        price = _price(model, datetime.combine(day, start.replace(tzinfo=None), start.tzinfo or UTC))
        if price is not None:
            yield Period(price, first, (_minute(start), _minute(end)))


def _constraints(model: Any) -> Iterator[Any]:
    dated = model.prices if isinstance(model.prices, list) else ()
    for one in (*dated, *(model.price_variants or ())):
        if one.constraint is not None:
            yield one.constraint


def _outside(hours: list[tuple[time, time]]) -> time:
    """A time of day that is in none of the given hours."""
    for minute in range(0, 1440, 15):
        if not any(_within(minute, _minute(start), _minute(end)) for start, end in hours):
            return time(minute // 60, minute % 60)
    return time(0)


def _within(minute: int, start: int, end: int) -> bool:
    return start <= minute < end if start <= end else minute >= start or minute < end


def _minute(moment: time) -> int:
    shift = moment.utcoffset() or timedelta()
    return (moment.hour * 60 + moment.minute - int(shift.total_seconds()) // 60) % 1440


def _price(model: Any, at: datetime) -> Price | None:
    standard = _tariff(vars(model.get_prices(at)))
    if standard is None:
        return None
    tiers = {}
    for variant in model.price_variants or ():
        context = {key: value for key, value in variant.when.items() if key in _CONTEXTS}
        tariff = _tariff(vars(model.get_prices(at, variant.when))) if len(context) == len(variant.when) == 1 else None
        if tariff is not None and tariff != standard:
            tiers[next(iter(context.values())).lower()] = tariff
    return Price(**msgspec.structs.asdict(standard), tiers=tiers)


def _tariff(prices: Mapping[str, Any]) -> Tariff | None:
    """The token prices of the library's; None where it is paid by others (sound, pages); without any it is free."""
    given = {
        rate: next((prices[name] for name in names if prices.get(name) is not None), None)
        for rate, names in _RATES.items()
    }
    if not any(value is not None for value in given.values()) and any(value is not None for value in prices.values()):
        return None
    starts = sorted({tier.start for value in given.values() for tier in getattr(value, "tiers", ())})
    rates = _rates(given, -1)
    return Tariff(**msgspec.structs.asdict(rates), steps=tuple((start, _rates(given, start)) for start in starts))


def _rates(given: Mapping[str, Any], start: int) -> Rates:
    values = {rate: found for rate, value in given.items() if (found := _value(value, start)) is not None}
    return Rates(**{"input": 0.0, **values})


def _value(value: Any, start: int) -> float | None:
    """A price in the step that begins at so many input tokens; below all of them for -1."""
    if value is None or not hasattr(value, "tiers"):
        return None if value is None else round(float(value), DECIMALS)
    reached = [tier.price for tier in value.tiers if tier.start <= start]
    return round(float(reached[-1] if reached else value.base), DECIMALS)


if __name__ == "__main__":
    main()
