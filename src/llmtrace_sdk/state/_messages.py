"""Claims -> the commands that Redis is sent, and its answers back. Nothing goes out that is not in the claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import msgpack

from llmtrace_sdk.core.claims import Admission, Budget, Rate
from llmtrace_sdk.state._rules import (
    PERIOD_GRACE_S,
    PUBLISHED_S,
    SETTLED_S,
    bounded,
    interval_s,
    period_key,
    record_key,
)
from llmtrace_sdk.state._scripts import VERSION_DIGITS
from llmtrace_sdk.typing import Announcement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmtrace_sdk.core.claims import Claim, Claims, Offence, Settlement
    from llmtrace_sdk.state._scripts import Script

BLOCKS: Final = "llmtrace:{llmtrace:blocks}:"
TOPICS: Final = "llmtrace:{llmtrace:topics}:"

_unpacked: Final = msgpack.Decoder(list[Any]).decode
_LONGEST_S: Final = 366 * 86400.0
_GRACE_US: Final = int(PERIOD_GRACE_S * 1e6)
_SETTLED_US: Final = int(SETTLED_S * 1e6)

NO_KEY: Final = -2
FIRST: Final = 0
SAME: Final = 1
"""How a script says that a call asks for the first time, or gets the answer that it had; 2: it resumes."""

Words = tuple[str | bytes | int | float, ...]


class Command(NamedTuple):
    """What is sent. `script`: None for a plain command, else the words begin with the number of keys."""

    words: Words
    script: Script | None = None

    def by_name(self) -> Words:
        """As it is sent when the server knows the script."""
        return self.words if self.script is None else ("EVALSHA", self.script.sha, *self.words)

    def in_full(self) -> Words:
        """As it is sent when it does not."""
        return self.words if self.script is None else ("EVAL", self.script.source, *self.words)


def microseconds(seconds: float) -> int:
    """Of a duration, at most a year."""
    return int(min(max(seconds, 0.0), _LONGEST_S) * 1e6)


def block_key(key: str) -> str:
    """Where a block is kept: all in one place, because tenants share them."""
    return f"{BLOCKS}block:{key}"


def topic_key(topic: str) -> str:
    """Where an announcement is kept."""
    return f"{TOPICS}{topic}"


def admit(script: Script, claims: Claims, *, with_blocks: bool) -> Command:
    """Ask for all claims; on a cluster the blocks are elsewhere and asked for apart."""
    keys = [block_key(key) for key in claims.blocks] if with_blocks else []
    blocks = len(keys)
    words: list[str | bytes | int | float] = [blocks, claims.call, microseconds(claims.remembered_s), _GRACE_US]
    if claims.claims:
        keys.append(f"llmtrace:{record_key(claims.call, claims.claims)}")
        for claim in claims.claims:
            keys.append(_key(claim))
            words += _asked(claim)
    return Command((len(keys), *keys, *words), script)


def block_time(key: str) -> Command:
    """How long a block will be in force, in milliseconds; `NO_KEY` where there is none."""
    return Command(("PTTL", block_key(key)))


def settle(script: Script, settlement: Settlement) -> Command:
    """Put what was taken in the place of what was reserved."""
    keys = [f"llmtrace:{record_key(settlement.call, settlement.claims)}"]
    undo = 1 if settlement.amounts is None else 0
    words: list[str | int | float] = [settlement.call, undo, _SETTLED_US, _GRACE_US]
    amounts = iter(settlement.amounts or ())
    for claim in settlement.claims:
        keys.append(_key(claim))
        if isinstance(claim, Budget):
            words += ("budget", bounded(next(amounts, 0)), claim.start + claim.seconds)
        elif isinstance(claim, Rate):
            words += ("rate", 0, 0)
        else:
            words += ("slots", 0, 0)
    return Command((len(keys), *keys, *words), script)


def offend(script: Script, offence: Offence) -> Command:
    """Count an offence."""
    source = f"{BLOCKS}offences:{offence.source}"
    return Command((2, source, block_key(offence.block), max(offence.limit, 1), microseconds(offence.ttl_s)), script)


def block(key: str, ttl_s: float) -> Command:
    """Block from now on."""
    return Command(("SET", block_key(key), "1", "PX", max(microseconds(ttl_s) // 1000, 1)))


def unblock(key: str) -> Command:
    """End a block."""
    return Command(("DEL", block_key(key)))


def latest(topic: str) -> Command:
    """Ask for what was announced."""
    return Command(("GET", topic_key(topic)))


def publish(script: Script, topic: str, value: bytes) -> Command:
    """Announce a value."""
    return Command((1, topic_key(topic), value, int(PUBLISHED_S * 1000)), script)


def spent(budget: Budget) -> Command:
    """Ask for the sum of one period."""
    return Command(("GET", _key(budget)))


def admission(claims: Claims, answer: bytes) -> Admission:
    """What the script said."""
    told = _unpacked(answer)
    if told[0] == 2:
        return blocked(claims.blocks[told[1]], told[2] / 1e6)
    granted = told[0] == 1
    return Admission(
        granted=granted,
        refused=None if granted else told[1],
        retry_after_s=told[2] / 1e6,
        remaining=_numbers(told[4]),
        spent=_numbers(told[5]),
        again=told[3] != FIRST,
    )


def took(answer: bytes) -> bool:
    """Whether the script took anything for this question."""
    told = _unpacked(answer)
    return bool(told[0] == 1 and told[3] != SAME)


def blocked(key: str, left_s: float) -> Admission:
    """The answer where a block is in force."""
    return Admission(granted=False, blocked=key, retry_after_s=left_s)


def announcement(kept: bytes) -> Announcement:
    """What was kept about a topic."""
    return Announcement(int(kept[:VERSION_DIGITS]), kept[VERSION_DIGITS:])


def _key(claim: Claim) -> str:
    return f"llmtrace:{period_key(claim) if isinstance(claim, Budget) else claim.key}"


def _asked(claim: Claim) -> Words:
    if isinstance(claim, Budget):
        limit = -1 if claim.limit is None else bounded(claim.limit)
        return "budget", bounded(claim.amount), limit, claim.start + claim.seconds
    if isinstance(claim, Rate):
        return "rate", interval_s(claim) * 1e6, max(claim.burst, 0), 0
    return "slots", max(claim.limit, 0), microseconds(claim.lease_s), 0


def _numbers(answer: Sequence[int]) -> tuple[int | None, ...]:
    return tuple(None if number < 0 else number for number in answer)
