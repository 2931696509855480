"""What a call takes of the limits: reserved before it is made, settled when it is over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from llmtrace_sdk.core.admission import (
    MICRO,
    Ask,
    Limited,
    Load,
    Meaning,
    claims_of,
    limited_by,
    over_token_cap,
    warnings_of,
)
from llmtrace_sdk.core.claims import Admission, Admit, Budget, Settlement
from llmtrace_sdk.core.fingerprint import UNKEYED, Names
from llmtrace_sdk.core.limits import CostCapOptions
from llmtrace_sdk.core.model import BudgetWarning, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from llmtrace_sdk.core.limits import RateOptions
    from llmtrace_sdk.core.model import Labels, Prompt
    from llmtrace_sdk.typing import ResponseHead

BYTES_PER_TOKEN = 3
"""Of a request: few enough that its tokens are rarely underestimated."""


class Quota(NamedTuple):
    """The limits of a runtime. `rated`: rates and concurrent calls are limited; `price` gives US dollars,
    `blocks_of` the keys under which a call could be blocked, and `names` stand for tenants, agents, ... in keys.
    """

    rates: RateOptions
    caps: CostCapOptions
    rated: bool
    price: Callable[[str, str | None, Usage], float | None]
    blocks_of: Callable[[Labels], tuple[str, ...]] | None = None
    names: Names = UNKEYED

    @property
    def on(self) -> bool:
        """Whether there is anything to ask for."""
        return self.rated or self.caps.enabled or self.blocks_of is not None

    def reservation(
        self, call: str, provider: str, labels: Labels, prompt: Prompt, size: int, now_s: float, *, retried: bool
    ) -> Reservation:
        """What one call needs. `size` is that of its request in bytes; a retry does not count as one more call.

        Without a provider nobody knows what it costs, so it is under no budget.
        """
        if not provider and self.caps.enabled:
            return self._replace(caps=CostCapOptions()).reservation(
                call, provider, labels, prompt, size, now_s, retried=retried
            )
        load = self._load(provider, prompt, size)
        wrong = over_token_cap(self.caps, labels, prompt.model, load, prompt.settings.max_tokens)
        rates = self.rates if not retried else _without_rate(self.rates)
        blocks = self.blocks_of(labels) if self.blocks_of is not None else ()
        ask = claims_of(
            *(rates, self.caps, labels, prompt.model, load, call, now_s),
            rated=self.rated,
            blocks=blocks,
            names=self.names,
        )
        return Reservation(
            self, ask, provider, labels.tenant, wrong, load if prompt.settings.max_tokens is None else None
        )

    def _load(self, provider: str, prompt: Prompt, size: int) -> Load:
        choices = prompt.settings.choice_count or 1
        answer = prompt.settings.max_tokens
        asked = (self.caps.default_completion_tokens if answer is None else answer) * choices
        given = -(-size // BYTES_PER_TOKEN)
        return Load(given, asked, _micro(self.price(provider, prompt.model, Usage(given, asked))))


class Reservation:
    """What one call has reserved. `limited` says why it may not be made; `warned` which budgets are nearly spent."""

    __slots__ = ("_ask", "_provider", "_quota", "_tenant", "_unbounded", "_wrong", "admission", "limited", "warned")

    def __init__(
        self, quota: Quota, ask: Ask, provider: str, tenant: str | None, wrong: str | None, unbounded: Load | None
    ) -> None:
        self._quota = quota
        self._unbounded = unbounded
        self._ask = ask
        self._provider = provider
        self._tenant = tenant
        self._wrong = wrong
        self.admission: Admission | None = None
        self.limited: Limited | None = None
        self.warned: list[BudgetWarning] = []

    def take(self) -> Generator[Admit, Admission, Limited | None]:
        """Ask for everything at once; gives the reason where something is refused."""
        if self._wrong is not None:
            self.limited = Limited("cost_cap_exceeded", self._wrong, 0)
        elif self._ask.claims.claims or self._ask.claims.blocks:
            self.admission = yield Admit(self._ask.claims)
            self.limited = limited_by(self._ask, self.admission, self._tenant)
            self.warned = warnings_of(self._ask, self.admission)
        return self.limited

    def left(self) -> list[tuple[Meaning, int]]:
        """What is left of the limits after this call was admitted, by what they are about."""
        if self.admission is None or not self.admission.granted:
            return []
        told = zip(self._ask.meanings, self.admission.remaining, strict=False)
        return [(meaning, remaining) for meaning, remaining in told if remaining is not None]

    def allowance(self, model: str | None) -> int | None:
        """How many tokens the answer may have before a budget is spent; None where it needs no watching.

        That is what was reserved for it, and what nobody else had reserved by then. What the request itself bounds was
        reserved as a whole.
        """
        if self._unbounded is None or self.admission is None or not self.admission.remaining:
            return None
        left = [
            tokens
            for meaning, remaining in zip(self._ask.meanings, self.admission.remaining, strict=True)
            if meaning.kind == "budget" and remaining is not None
            if (tokens := self._tokens(meaning.unit, remaining, model)) is not None
        ]
        return self._unbounded.output_tokens + min(left) if left else None

    def _tokens(self, unit: str, remaining: int, model: str | None) -> int | None:
        if unit == "tokens":
            return remaining
        price = self._quota.price(self._provider, model, Usage(0, MICRO))
        return int(remaining / price) if price else None

    def settlement(self, model: str | None, usage: Usage, *, made: bool) -> Settlement | None:
        """What the call really took, when it is over; None where it has taken nothing.

        `made` is false for a call that the vendor never answered, or refused: unless it tells a usage all the same, it
        takes nothing of the budgets. Where the vendor does not tell a count, what was reserved stands.
        """
        if self.admission is None or not self.admission.granted:
            return None
        claims = self._ask.claims
        amounts = tuple(
            self._amount(claim, meaning.unit, model, usage, made=made)
            for claim, meaning in zip(claims.claims, self._ask.meanings, strict=True)
            if isinstance(claim, Budget)
        )
        return Settlement(claims.call, claims.claims, amounts)

    def _amount(self, claim: Budget, unit: str, model: str | None, usage: Usage, *, made: bool) -> int:
        if usage.input_tokens is None and usage.output_tokens is None:
            return claim.amount if made else 0
        if unit == "tokens":
            return (usage.input_tokens or 0) + (usage.output_tokens or 0)
        cost = _micro(self._quota.price(self._provider, model, usage))
        return claim.amount if cost is None else cost


def streamed(reservation: Reservation | None, head: ResponseHead, prompt: Prompt, *, shadow: bool) -> int | None:
    """How many tokens a streamed answer may have before a budget is spent; None where that needs no watching."""
    media = head.headers.get("content-type", "").partition(";")[0]
    if reservation is None or shadow or (media == "application/json" and not prompt.stream):
        return None
    return reservation.allowance(prompt.model)


def _micro(dollars: float | None) -> int | None:
    return None if dollars is None else -int(-dollars * MICRO // 1)


def _without_rate(rates: RateOptions) -> RateOptions:
    return replace(rates, requests_per_second=0, tenant_overrides={})
