"""Types of columns that take whatever comes: what a database would refuse, or choke on in a sum, is made to fit.

They apply to what is stored and to what it is compared with, so a value is found again by what it was stored from.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import BigInteger, Double, Text
from sqlalchemy.types import TypeDecorator

from llmtrace_relay.store.cleaning import clean, clean_deep

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Dialect

WORD_LIMIT: Final = 256
"""Characters of a text that is in an index: PostgreSQL refuses rows of an index over 2,704 bytes."""
TIME_LIMIT: Final = 1 << 62
COUNT_LIMIT: Final = 1 << 40
"""No sum of 8 million such numbers overflows 63 bits."""
MONEY_LIMIT: Final = 1e12

_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)


def word(value: str) -> str:
    """A text as a `Word` keeps it."""
    return clean(value if len(value) <= WORD_LIMIT else value[:WORD_LIMIT])


def to_json(value: Any) -> str:
    """JSON of anything; what JSON does not know is told as text."""
    try:
        return _ENCODER.encode(value).decode()
    except (UnicodeEncodeError, OverflowError, TypeError, msgspec.MsgspecError):
        return _ENCODER.encode(clean_deep(value)).decode()


def _moment(value: int) -> int:
    return value if -TIME_LIMIT <= value <= TIME_LIMIT else TIME_LIMIT if value > 0 else -TIME_LIMIT


def _count(value: int) -> int:
    return value if -COUNT_LIMIT <= value <= COUNT_LIMIT else COUNT_LIMIT if value > 0 else -COUNT_LIMIT


def _real(value: float) -> float | None:
    if -MONEY_LIMIT <= value <= MONEY_LIMIT:
        return value
    return None if math.isnan(value) else math.copysign(MONEY_LIMIT, value)


class _Fitted(TypeDecorator[Any]):
    """A type whose values are made to fit by `fit`; None stays None."""

    impl: Any = Text
    cache_ok = True
    fit: Callable[[Any], Any]

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        """What is given to the driver."""
        return None if value is None else self.fit(value)


class Words(_Fitted):
    """Text of any length."""

    cache_ok = True
    fit = staticmethod(clean)


class Word(_Fitted):
    """A short text that is in an index; what is over the limit is cut off."""

    cache_ok = True
    fit = staticmethod(word)


class Json(_Fitted):
    """JSON as text; what reads it says into which type."""

    cache_ok = True
    fit = staticmethod(to_json)


class Moment(_Fitted):
    """Microseconds since the Unix epoch."""

    impl = BigInteger
    cache_ok = True
    fit = staticmethod(_moment)


class Count(_Fitted):
    """A number that is added up: tokens, milliseconds, bytes."""

    impl = BigInteger
    cache_ok = True
    fit = staticmethod(_count)


class Real(_Fitted):
    """A number that is added up: money, or a share. NaN is none."""

    impl = Double
    cache_ok = True
    fit = staticmethod(_real)
