"""What an exchange asks of its driver, and what the exchanges of a runtime share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from llmtrace_sdk.core.anomaly import Anomalies
from llmtrace_sdk.core.claims import Admit
from llmtrace_sdk.core.cost import Bill
from llmtrace_sdk.core.credentials import CredentialGuard
from llmtrace_sdk.core.hygiene import Hardened
from llmtrace_sdk.core.model import Answer, Prompt, Usage
from llmtrace_sdk.core.policy import Policy
from llmtrace_sdk.core.quota import Quota
from llmtrace_sdk.core.routing import RouterOptions
from llmtrace_sdk.core.scan import Engine
from llmtrace_sdk.core.tiers import Question, Tier, TierName
from llmtrace_sdk.core.vault import Vault


class Send(Struct, frozen=True):
    """Send the request as it is, or with another body (then without any content coding); answered with the
    `ResponseHead`.
    """

    body: bytes | None = None


class Hold(Struct, frozen=True):
    """Read the answer into `Exchange.feed` before anyone sees it, up to `limit` bytes; answered with True when that
    was all of it.
    """

    limit: int


class Ask(Struct, frozen=True):
    """Ask a tier about texts, for at most `deadline_ms`; answered with a tuple of one `Reply` for each question."""

    tier: TierName
    questions: tuple[Question, ...]
    deadline_ms: int


Effect = Send | Hold | Ask | Admit
SEND: Final = Send()


class Limits(Struct, frozen=True):
    """Bounds in bytes, after decoding."""

    request_bytes: int = 50 << 20
    response_bytes: int = 50 << 20


class Pipeline(Struct, frozen=True):
    """What the exchanges of a runtime share. Clocks, ids and prices are parameters: the core has none of its own.

    `now_ns` is wall clock time, `tick_ns` a steady clock, both in nanoseconds. `bill` says what a call cost that began
    at a time (seconds since 1970). `on_fault` is told of every fault of our own, by component. `tiers` are asked in
    their order. `vault` gives the placeholders of a session (tenant and session), or those of one call, told by its
    body. `harden` sets apart what tools and documents say. `quota` has the limits that calls share, `router` the
    actions that follow findings, where one of them is to block, `judged` the same where one is to ask the judge.
    `limits_all`: calls of wire formats that nobody knows are under rates and blocks, too; whoever drives them gives
    refusals of its own. `credentials` looks where keys go, `anomalies` compares calls that are over with those before
    them.
    """

    engine: Engine
    policy: Policy
    now_ns: Callable[[], int]
    tick_ns: Callable[[], int]
    new_id: Callable[[], str]
    bill: Callable[[str, Prompt, Answer, Usage, float], Bill]
    on_fault: Callable[[str, BaseException], None]
    vault: Callable[[tuple[str | None, str] | None, bytes], Vault]
    limits: Limits = Limits()
    keep_content: bool = False
    policy_hash: str = ""
    tiers: tuple[Tier, ...] = ()
    harden: Callable[[bytes, Prompt], Hardened] | None = None
    quota: Quota | None = None
    router: RouterOptions | None = None
    judged: RouterOptions | None = None
    credentials: CredentialGuard | None = None
    anomalies: Anomalies | None = None
    limits_all: bool = False
