"""What a state must do, written for nothing but being obvious: whole lists, exact fractions, no expiry to speak of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor

from llmtrace_sdk.core.claims import Admission, Budget, Claim, Claims, Offence, Rate, Settlement, Slots, Standing

SETTLED_S = 600
SETTLED_HERE_S = 60
GRACE_S = 3600


@dataclass
class Tokens:
    """Tokens that are missing: `cut` where a rule was changed, so that no more are than go in, and all of them."""

    cut: Fraction
    whole: Fraction
    at: Fraction
    per_second: Fraction
    burst: int


@dataclass
class Remembered:
    until: Fraction
    settled: bool
    first: bool
    held: list[int]
    forgotten: Fraction
    answer: Admission | None = None


@dataclass
class Model:
    now: Fraction
    shared: bool = True
    tokens: dict[str, Tokens] = field(default_factory=dict)
    leases: dict[str, dict[str, Fraction]] = field(default_factory=dict)
    sums: dict[tuple[str, int], tuple[int, Fraction]] = field(default_factory=dict)
    calls: dict[str, Remembered] = field(default_factory=dict)
    blocks: dict[str, Fraction] = field(default_factory=dict)
    offences: dict[str, list[Fraction]] = field(default_factory=dict)

    def admit(self, claims: Claims) -> Admission:
        for key in claims.blocks:
            if self.blocks.get(key, 0) > self.now:
                return Admission(False, None, key, float(self.blocks[key] - self.now))
        known = self._remembered(claims.call)
        if known and not known.settled and known.answer:
            return Admission(True, remaining=known.answer.remaining, spent=known.answer.spent, again=True)
        for claim in claims.claims:
            if isinstance(claim, Rate):
                self._rule(claim)
        waits = [self._wait(claim, claims.call, resumed=known is not None) for claim in claims.claims]
        unmet = [at for at, wait in enumerate(waits) if wait is not None]
        if not unmet:
            for claim in claims.claims:
                self._take(claim, claims.call, resumed=known is not None)
        left = tuple(self._left(claim) for claim in claims.claims)
        spent = tuple(self.sum(claim) if isinstance(claim, Budget) else None for claim in claims.claims)
        if unmet:
            wait = max(float(wait) for wait in waits if wait is not None)
            return Admission(False, unmet[0], None, wait, left, spent, known is not None)
        answer = Admission(True, None, None, 0.0, left, spent, known is not None)
        until = self.now + Fraction(claims.remembered_s)
        held = [claim.amount for claim in claims.claims if isinstance(claim, Budget)]
        self.calls[claims.call] = Remembered(until, False, known is None, held, until, answer)
        return answer

    def settle(self, settlement: Settlement) -> None:
        known = self.calls.get(settlement.call)
        if known and known.forgotten <= self.now:
            known = None
        budgets = [claim for claim in settlement.claims if isinstance(claim, Budget)]
        amounts = settlement.amounts or (0,) * len(budgets)
        for at, (budget, amount) in enumerate(zip(budgets, amounts, strict=True)):
            lost = self._lost(budget)
            change = amount - (known.held[at] if known and not lost else 0)
            if change:
                self._add(budget, change)
        for claim in settlement.claims:
            if isinstance(claim, Slots):
                self.leases.get(claim.key, {}).pop(settlement.call, None)
        if settlement.amounts is None and (known is None or (known.first and not known.settled)):
            self._give_tokens(settlement.claims, given=known is not None)
            self.calls.pop(settlement.call, None)
            return
        until = known.until if known else self.now
        forgotten = max(until, self.now + SETTLED_S) if self.shared else self.now + SETTLED_HERE_S
        until = min(until, forgotten)
        self.calls[settlement.call] = Remembered(until, True, False, list(amounts), forgotten)

    def offend(self, offence: Offence) -> Standing:
        times = [each for each in self.offences.get(offence.source, []) if each > self.now - Fraction(offence.ttl_s)]
        times = [*times, self.now][-offence.limit :]
        self.offences[offence.source] = times
        if len(times) >= offence.limit:
            ends = self.now + Fraction(offence.ttl_s)
            self.blocks[offence.block] = max(ends, self.blocks.get(offence.block, ends))
        return Standing(len(times), len(times) >= offence.limit)

    def sum(self, budget: Budget) -> int:
        return 0 if self._lost(budget) else self.sums[budget.key, budget.start][0]

    def _remembered(self, call: str) -> Remembered | None:
        known = self.calls.get(call)
        return known if known and known.until > self.now else None

    def _wait(self, claim: Claim, call: str, *, resumed: bool) -> Fraction | None:
        if isinstance(claim, Rate):
            missing = 1 - (claim.burst - self._lacking(claim.key).cut)
            return missing / Fraction(claim.per_second) if missing > 0 and not resumed else None
        if isinstance(claim, Slots):
            held = self._held(claim)
            if call in held or len(held) < claim.limit:
                return None
            return sorted(held.values())[len(held) - claim.limit] - self.now if claim.limit else Fraction(claim.lease_s)
        if claim.limit is None or (self.sum(claim) < claim.limit and self.sum(claim) + claim.amount <= claim.limit):
            return None
        return max(claim.start + claim.seconds - self.now, Fraction(0))

    def _take(self, claim: Claim, call: str, *, resumed: bool) -> None:
        if isinstance(claim, Rate):
            self._owe(claim.key, 0 if resumed else 1)
        elif isinstance(claim, Slots):
            self.leases[claim.key] = {**self._held(claim), call: self.now + Fraction(claim.lease_s)}
        else:
            self._add(claim, claim.amount)

    def _left(self, claim: Claim) -> int | None:
        if isinstance(claim, Rate):
            return max(floor(claim.burst - self._lacking(claim.key).cut), 0)
        if isinstance(claim, Slots):
            return max(claim.limit - len(self._held(claim)), 0)
        return None if claim.limit is None else max(claim.limit - self.sum(claim), 0)

    def _rule(self, rate: Rate) -> None:
        known, per_second = self._lacking(rate.key), Fraction(rate.per_second)
        if (known.per_second, known.burst) != (per_second, rate.burst):
            cut = min(known.whole, Fraction(rate.burst))
            self.tokens[rate.key] = Tokens(cut, known.whole, self.now, per_second, rate.burst)

    def _lacking(self, key: str) -> Tokens:
        known = self.tokens.get(key)
        if known is None:
            return Tokens(Fraction(0), Fraction(0), self.now, Fraction(0), 0)
        come = (self.now - known.at) * known.per_second
        return replace(known, cut=max(known.cut - come, 0), whole=max(known.whole - come, 0), at=self.now)

    def _owe(self, key: str, count: int) -> None:
        known = self._lacking(key)
        self.tokens[key] = replace(known, cut=max(known.cut + count, 0), whole=max(known.whole + count, 0))

    def _give_tokens(self, claims: tuple[Claim, ...], *, given: bool) -> None:
        for claim in claims:
            if isinstance(claim, Rate) and given:
                self._owe(claim.key, -1)

    def _held(self, slots: Slots) -> dict[str, Fraction]:
        return {call: ends for call, ends in self.leases.get(slots.key, {}).items() if ends > self.now}

    def _lost(self, budget: Budget) -> bool:
        known = self.sums.get((budget.key, budget.start))
        return known is None or known[1] <= self.now

    def _add(self, budget: Budget, amount: int) -> None:
        kept_until = max(Fraction(budget.start + budget.seconds), self.now) + GRACE_S
        self.sums[budget.key, budget.start] = (max(self.sum(budget) + amount, 0), kept_until)
