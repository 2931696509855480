"""Everything that can be set, as plain frozen dataclasses; the other groups live with what they configure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, ClassVar, Final

from llmtrace_sdk.config.relay import (
    AuthOptions,
    IngestOptions,
    LogOptions,
    ShutdownOptions,
    StorageOptions,
    Upstream,
    is_http,
    relay_problems,
)
from llmtrace_sdk.core.alerting import AlertOptions
from llmtrace_sdk.core.anomaly import AnomalyOptions
from llmtrace_sdk.core.boundary import BoundaryOptions
from llmtrace_sdk.core.costing import CostOptions
from llmtrace_sdk.core.credentials import CredentialOptions
from llmtrace_sdk.core.datamarking import DatamarkingOptions
from llmtrace_sdk.core.fusion import OperatingPoint  # noqa: TC001 - pydantic reads it
from llmtrace_sdk.core.limits import CostCapOptions, RateOptions, StateOptions
from llmtrace_sdk.core.policy import EnforcementOptions
from llmtrace_sdk.core.routing import RouterOptions
from llmtrace_sdk.core.tiers import JudgeOptions, MLOptions
from llmtrace_sdk.telemetry.options import TelemetryOptions

HASH_DIGITS: Final = 16
LONGEST_INTERVAL_S: Final = 3600.0
RELAY_KEY_VARIABLE: Final = "LLMTRACE_RELAY_KEY"
# What says how a call is told about, or where settings come from, decides nothing about the call.
_OF_THE_RELAY: Final = (
    "listen_addr upstream_url upstreams default_tenant_id timeout_ms connection_timeout_ms idle_timeout_ms "
    "max_connections enable_tls tls_cert_file tls_key_file enable_trace_storage storage auth otel_ingest shutdown "
    "logging"
)
_DECIDES_NOTHING: Final = frozenset(
    {"telemetry", "reload_interval_s", "relay", "relay_key_env", *_OF_THE_RELAY.split()}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionOptions:
    """How texts are inspected.

    `detectors`: which detectors run; all when not given. `max_analysis_text_bytes`: how much text they read per call,
    in characters. `operating_point`: how high an injection score must be to count: `high_recall` from 0.5 (about 5 % of
    benign texts reach it), `balanced` from 0.75 (1 %), `high_precision` from 0.9 (0.1 %).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    detectors: tuple[str, ...] | None = None
    max_analysis_text_bytes: int = 1 << 20
    operating_point: OperatingPoint = "balanced"

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        if self.max_analysis_text_bytes >= 1:
            return []
        return [f"security_analysis.max_analysis_text_bytes: {self.max_analysis_text_bytes} is less than 1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set.

    `enforcement`: what findings lead to. `security_analysis`: how texts are inspected. `ml`: a classifier of your own.
    `judge`: a language model as second opinion. `boundary_defense`: tags around what tools and documents say.
    `datamarking`: marks between its words. `credential_guard`: where keys may go. `anomaly_detection`: calls that are
    unlike those before. `action_router`: what follows findings. `alerts`: who is told of them. `rate_limiting`: how
    many calls there may be. `cost_caps`: what they may cost. `state`: where that is counted. `telemetry`: spans,
    metrics and captured content.

    `max_request_size_bytes`: requests larger than this, after decoding, pass uninspected.
    `max_response_size_bytes`: the same for responses.
    `reload_interval_s`: seconds after which a change of the configuration file is in force at the latest; 0 switches
    reloading off.
    `relay`: the URL of a relay, whose announced policy is followed. `relay_key_env`: the environment variable with the
    key for it, sent as `X-LLMTrace-Token`.

    The rest is the relay's. `listen_addr`: where it listens, as host:port. `upstream_url`: where it sends calls to.
    `upstreams`: other places, for some calls. `default_tenant_id`: the tenant (a UUID) of calls that name none; a fixed
    one when not given. `timeout_ms`: how long the head of an answer may take to come.
    `connection_timeout_ms`: the same for a connection. `idle_timeout_ms`: the longest silence within an answer; there
    is no limit to the whole. `max_connections`: how many connections to upstreams there may be. `enable_tls`: serve
    HTTPS, with `tls_cert_file` and `tls_key_file` (PEM). `enable_trace_storage`: keep calls. `storage`: where, and what
    of them. `auth`: who may use it. `otel_ingest`: spans that other programs report. `shutdown`: how it ends.
    `logging`: what it logs.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enforcement: EnforcementOptions = EnforcementOptions()
    security_analysis: DetectionOptions = DetectionOptions()
    ml: MLOptions = MLOptions()
    judge: JudgeOptions = JudgeOptions()
    boundary_defense: BoundaryOptions = BoundaryOptions()
    datamarking: DatamarkingOptions = DatamarkingOptions()
    credential_guard: CredentialOptions = CredentialOptions()
    anomaly_detection: AnomalyOptions = AnomalyOptions()
    action_router: RouterOptions = RouterOptions()
    alerts: AlertOptions = AlertOptions()
    rate_limiting: RateOptions = RateOptions()
    cost_caps: CostCapOptions = CostCapOptions()
    cost_estimation: CostOptions = CostOptions()
    state: StateOptions = StateOptions()
    telemetry: TelemetryOptions = TelemetryOptions()
    max_request_size_bytes: int = 50 << 20
    max_response_size_bytes: int = 50 << 20
    reload_interval_s: float = 1.0
    relay: str | None = None
    relay_key_env: str = RELAY_KEY_VARIABLE
    listen_addr: str = "127.0.0.1:8080"
    upstream_url: str = "https://api.openai.com"
    upstreams: tuple[Upstream, ...] = ()
    default_tenant_id: str | None = None
    timeout_ms: int = 600_000
    connection_timeout_ms: int = 5_000
    idle_timeout_ms: int = 300_000
    max_connections: int = 1_000
    enable_tls: bool = False
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    enable_trace_storage: bool = True
    storage: StorageOptions = StorageOptions()
    auth: AuthOptions = AuthOptions()
    otel_ingest: IngestOptions = IngestOptions()
    shutdown: ShutdownOptions = ShutdownOptions()
    logging: LogOptions = LogOptions()

    @property
    def policy_hash(self) -> str:
        """Names what decides about calls: 16 hexadecimal digits, the same for equal settings wherever they came from.

        A SHA-256, cut to 64 bits, over all settings but those of telemetry, of the relay's own matters and of where
        settings come from, as JSON with sorted keys. Another version of the package may have other keys, and so other
        hashes.
        """
        deciding = {f.name: _canonical(getattr(self, f.name)) for f in fields(self) if f.name not in _DECIDES_NOTHING}
        text = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each, those of the groups included."""
        sizes = {"max_request_size_bytes": self.max_request_size_bytes}
        sizes["max_response_size_bytes"] = self.max_response_size_bytes
        found = [f"{name}: {size} is less than 1" for name, size in sizes.items() if size < 1]
        if not 0 <= self.reload_interval_s <= LONGEST_INTERVAL_S:
            found.append(f"reload_interval_s: {self.reload_interval_s} is not between 0 and {LONGEST_INTERVAL_S:g}")
        if self.relay is not None and (not is_http(self.relay) or "@" in self.relay):
            found.append("relay: must be an http:// or https:// URL without a password; see relay_key_env")
        if self.action_router.asks and not self.judge.enabled:
            found.append("action_router: the action judge_route has nobody to ask; set judge.enabled and judge.model")
        found += relay_problems(self)
        for field in fields(self):
            group = getattr(self, field.name)
            if hasattr(group, "problems"):
                found += group.problems()
        return found


def _canonical(value: Any) -> Any:
    """Plain JSON values: equal settings become equal texts, so 1 and 1.0, or a list and a tuple, are the same."""
    if is_dataclass(value):
        return {field.name: _canonical(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _canonical(inner) for key, inner in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((_canonical(item) for item in value), key=json.dumps)
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, Enum):
        return _canonical(value.value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
