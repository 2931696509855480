"""Settings -> pipeline: what the calls of a runtime share."""

from __future__ import annotations

import hmac
import os
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from llmtrace_sdk import config, detectors, ids, providers
from llmtrace_sdk.core import fingerprint
from llmtrace_sdk.core.anomaly import Anomalies
from llmtrace_sdk.core.credentials import CredentialGuard
from llmtrace_sdk.core.effects import Limits, Pipeline
from llmtrace_sdk.core.hygiene import hardened
from llmtrace_sdk.core.policy import Policy
from llmtrace_sdk.core.quota import Quota
from llmtrace_sdk.core.scan import Engine
from llmtrace_sdk.faults import count_fault
from llmtrace_sdk.introduction import Introduction
from llmtrace_sdk.pricing import Pricing
from llmtrace_sdk.supervision import supervised
from llmtrace_sdk.vaults import Vaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.config import Settings
    from llmtrace_sdk.core.anomaly import AnomalyOptions
    from llmtrace_sdk.core.fusion import OperatingPoint
    from llmtrace_sdk.core.hygiene import Hardened
    from llmtrace_sdk.core.model import Labels, Prompt
    from llmtrace_sdk.core.tiers import Tier

_vaults: Final = Vaults()
_nonce_secret: Final = os.urandom(32)
_relay = False


def as_relay() -> None:
    """Make this process the relay: it limits rates unless told not to, and keeps what is to be stored."""
    global _relay
    _relay = True


def judged_at_once(settings: Settings) -> bool:
    """Whether requests must be judged before they are sent, though the policy stops nothing: for what is told of them
    with the answer, and for blocks that the next call must meet.
    """
    policy, router = settings.enforcement, settings.action_router
    blocks = router.enabled and any(name.startswith("block_") for name in router.names)
    return policy.mode != "log" or bool(policy.categories or policy.overrides) or blocks


def pipeline(settings: Settings) -> Pipeline:
    """The pipeline of these settings."""
    analysis, enforcement = settings.security_analysis, settings.enforcement
    pricing = Pricing.of(settings.cost_estimation)
    quota = Quota(
        settings.rate_limiting,
        settings.cost_caps,
        rated=_relay if settings.rate_limiting.enabled is None else settings.rate_limiting.enabled,
        price=pricing.cost,
        blocks_of=_blocks_of(settings),
        names=fingerprint.Names(config.state_secret(settings)),
    )
    return Pipeline(
        engine=_engine(
            analysis.detectors,
            analysis.max_analysis_text_bytes,
            analysis.operating_point,
            tuple(enforcement.budgets.items()),
            enforcement.timeout_ms,
        ),
        policy=Policy(settings.enforcement),
        now_ns=time.time_ns,
        tick_ns=time.perf_counter_ns,
        new_id=ids.uuid7,
        bill=pricing.bill,
        on_fault=count_fault,
        vault=_vaults.of,
        limits=Limits(settings.max_request_size_bytes, settings.max_response_size_bytes),
        keep_content=settings.telemetry.capture != "NO_CONTENT" or (_relay and _stores_texts(settings)),
        policy_hash=settings.policy_hash,
        tiers=_tiers(settings),
        harden=_hardening(settings),
        router=settings.action_router if settings.action_router.blocks else None,
        judged=settings.action_router if settings.action_router.asks and settings.judge.enabled else None,
        quota=quota if quota.on else None,
        credentials=_credentials(settings),
        anomalies=_anomalies(settings.anomaly_detection) if settings.anomaly_detection.enabled else None,
        limits_all=_relay,
    )


def introduction(settings: Settings) -> Introduction | None:
    """What introduces the calls of this process to its relay; None where it has none."""
    return None if settings.relay is None else Introduction(settings.relay, config.state_secret(settings))


def _stores_texts(settings: Settings) -> bool:
    return settings.enable_trace_storage and settings.storage.capture != "none"


def _blocks_of(settings: Settings) -> Callable[[Labels], tuple[str, ...]] | None:
    """Nothing of the actions is imported where none is named."""
    if not settings.action_router.enabled:
        return None
    from llmtrace_sdk.aftermath import blocks_of

    return blocks_of(settings)


def _credentials(settings: Settings) -> CredentialGuard | None:
    options = settings.credential_guard
    return CredentialGuard(options, providers.owner) if options.mode != "off" else None


@lru_cache(maxsize=1)
def _anomalies(options: AnomalyOptions) -> Anomalies:
    """What is usual stays known when other settings change."""
    return Anomalies(options)


def _hardening(settings: Settings) -> Callable[[bytes, Prompt], Hardened] | None:
    """None unless it is switched on. The nonce is told by the body: a retry sends what the first attempt did."""
    boundary, marking = settings.boundary_defense, settings.datamarking
    if not (boundary.enabled or marking.enabled):
        return None

    def harden(body: bytes, prompt: Prompt) -> Hardened:
        nonce = hmac.digest(_nonce_secret, body, "sha256").hex()[:32]
        return hardened(body, prompt, boundary, marking, nonce)

    return harden


def _tiers(settings: Settings) -> tuple[Tier, ...]:
    return tuple(options.tier() for options in (settings.ml, settings.judge) if options.enabled)


@lru_cache(maxsize=8)
def _engine(
    names: tuple[str, ...] | None,
    text_limit: int,
    operating_point: OperatingPoint,
    budgets: tuple[tuple[str, int], ...],
    timeout_ms: int,
) -> Engine:
    """Engines are immutable, and dear to compile: runtimes with equal settings share one."""
    return Engine(
        supervised(detectors.build(names), dict(budgets), timeout_ms),
        operating_point=operating_point,
        text_limit=text_limit,
        fingerprint=partial(fingerprint.of, os.urandom(32)),
        memo_key=os.urandom(32),
    )
