"""What one call asks of the limits that it shares with others, and what it is told.

Amounts are whole numbers: calls, tokens, or millionths of a US dollar. Keys are made of fingerprints, never of what an
application sent; all keys of one `Claims` begin with the same `{tag}`, so that one Redis node has them all.
"""

from __future__ import annotations

from msgspec import Struct


class Rate(Struct, frozen=True, tag="rate"):
    """A token bucket: `per_second` come in, at most `burst` are in it, and the call takes one."""

    key: str
    per_second: float
    burst: int


class Slots(Struct, frozen=True, tag="slots"):
    """How many calls may be under way. A slot that is not given back is free again after `lease_s` seconds."""

    key: str
    limit: int
    lease_s: float


class Budget(Struct, frozen=True, tag="budget"):
    """A sum over a period that begins at `start` and lasts `seconds` (Unix time): `amount` is reserved for the call.

    The call is refused where what is spent and reserved would come to more than `limit`; None: nothing is refused, the
    sum is only kept. A budget that is spent already refuses a call of any amount.
    """

    key: str
    start: int
    seconds: int
    amount: int
    limit: int | None = None


Claim = Rate | Slots | Budget


class Claims(Struct, frozen=True):
    """All that one call asks for, granted or refused as a whole.

    `call` tells the logical call: when it asks again, because an SDK tries again, it takes nothing twice; what it
    reserved is remembered for `remembered_s` seconds. `blocks` are keys of blocks: one that is in force refuses.
    """

    call: str
    blocks: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    remembered_s: float = 600.0


class Admit(Struct, frozen=True):
    """An effect: ask the state for what a call claims; answered with an `Admission`."""

    claims: Claims


class Admission(Struct, frozen=True):
    """The answer. `refused` is the number of the first claim that was not met, `blocked` the key of a block in force.

    `remaining`: for each claim what is left of it after this call, None for what has no limit. `retry_after_s`: when it
    makes sense to ask again. `again`: the call had asked before. `spent`: for each budget claim what is spent and
    reserved in its period, this call included; None for others. `degraded`: the shared state could not be asked.
    """

    granted: bool
    refused: int | None = None
    blocked: str | None = None
    retry_after_s: float = 0.0
    remaining: tuple[int | None, ...] = ()
    spent: tuple[int | None, ...] = ()
    again: bool = False
    degraded: bool = False


class Settlement(Struct, frozen=True):
    """What a call really took: gives its slots back, and puts `amounts` (one for each budget, in order) in the place of
    what was reserved, in the periods in which it was reserved. `amounts` None gives everything back.
    """

    call: str
    claims: tuple[Claim, ...]
    amounts: tuple[int, ...] | None = None


class Offence(Struct, frozen=True):
    """One more offence of a source: with `limit` of them within `ttl_s` seconds it is blocked for `ttl_s` seconds."""

    source: str
    block: str
    limit: int
    ttl_s: float


class Standing(Struct, frozen=True):
    """How many offences there are now, and whether the source is blocked by this one."""

    count: int
    blocked: bool
