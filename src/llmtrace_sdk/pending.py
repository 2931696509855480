"""A decision that is worked out when somebody looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core.model import Decision

if TYPE_CHECKING:
    from llmtrace_sdk.core.exchange import Exchange


class PendingDecision:
    """Behaves like the `Decision` of an exchange, also to `isinstance`; until somebody asks, it costs nothing."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return Decision

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange.decision, name)

    def __eq__(self, other: object) -> bool:
        return bool(self._exchange.decision == other)

    def __hash__(self) -> int:
        return hash(self._exchange.decision)

    def __repr__(self) -> str:
        return repr(self._exchange.decision)

    def __reduce__(self) -> Any:
        return self._exchange.decision.__reduce__()


def decision_of(exchange: Exchange) -> Decision:
    """The decision of an exchange, now or later."""
    if exchange.decided:
        return exchange.decision
    pending: Any = PendingDecision(exchange)
    return pending  # type: ignore[no-any-return]
