"""The keys of the LLMTrace proxy's configuration file, as its version 0.3 reads them, and what becomes of each."""

from __future__ import annotations

from typing import Final, Literal

_COLLECTOR: Final = "send spans to a collector that writes to ClickHouse: set telemetry.otlp (docs/relay.md)"
_ONNX: Final = "a classifier is a file of your own: set ml.model_path"
_ONE_ENGINE: Final = "one built-in engine finds injections; set security_analysis.operating_point"

SUPPORTED: Final = """
enforcement.mode enforcement.min_severity enforcement.min_confidence enforcement.categories
security_analysis.max_analysis_text_bytes security_analysis.operating_point
max_request_size_bytes max_response_size_bytes judge.enabled
listen_addr upstream_url default_tenant_id timeout_ms connection_timeout_ms max_connections enable_tls tls_cert_file
tls_key_file enable_trace_storage storage.profile storage.database_path storage.postgres_url auth.enabled auth.admin_key
otel_ingest.enabled shutdown.timeout_seconds logging.level logging.format
rate_limiting.enabled rate_limiting.requests_per_second rate_limiting.burst_size rate_limiting.tenant_overrides
action_router.enabled action_router.default_actions action_router.rules action_router.ip_block.ttl_seconds
action_router.ip_block.max_offenses action_router.webhook.url action_router.webhook.timeout_ms
action_router.judge_route.inline_await action_router.judge_route.inline_timeout_ms
alerts.enabled alerts.webhook_url alerts.min_severity alerts.min_security_score alerts.cooldown_seconds alerts.channels
alerts.escalation
anomaly_detection.enabled anomaly_detection.window_size anomaly_detection.sigma_threshold anomaly_detection.check_cost
anomaly_detection.check_tokens anomaly_detection.check_velocity anomaly_detection.check_latency
cost_caps.enabled cost_caps.default_budget_caps cost_caps.default_token_cap cost_caps.agents
"""

RENAMED: Final = {
    "judge.backend": "judge.provider",
    "judge.openai.base_url": "judge.base_url",
    "judge.openai.model": "judge.model",
    "judge.anthropic.base_url": "judge.base_url",
    "judge.anthropic.model": "judge.model",
    "judge.vllm.base_url": "judge.base_url",
    "judge.vllm.model": "judge.model",
    "storage.redis_url": "state.url",
}

LATER: Final = {
    "enforcement.timeout_ms": "inspecting is bounded by security_analysis.max_analysis_text_bytes",
    "llm_advisory_injection_enabled": "requests are never rewritten to advise a model",
}

UNUSED: Final = {
    "storage.clickhouse_url": _COLLECTOR,
    "storage.clickhouse_database": _COLLECTOR,
    "storage.auto_migrate": "the relay always brings its database up to date",
    "trace_storage_timeout_ms": "calls wait in a spool until they are stored",
    "enable_security_analysis": "calls are always inspected; do not instrument a client that should not be",
    "enable_streaming": "streams always pass",
    "security_analysis_timeout_ms": "inspecting is bounded by security_analysis.max_analysis_text_bytes",
    "enforcement.analysis_depth": "every call has the full analysis",
    "security_analysis.ml_enabled": "set ml.enabled and ml.model_path for a classifier of your own",
    "security_analysis.ml_model": _ONNX,
    "security_analysis.ml_threshold": "set ml.threshold",
    "security_analysis.ml_cache_dir": "no model is downloaded",
    "security_analysis.ml_preload": "a classifier is loaded in the background",
    "security_analysis.ml_download_timeout_seconds": "no model is downloaded",
    "security_analysis.ner_enabled": "personal data is found by rules; see security_analysis.detectors",
    "security_analysis.ner_model": "personal data is found by rules; see security_analysis.detectors",
    "security_analysis.fusion_enabled": "the engine always fuses its signals",
    "security_analysis.fusion_model_path": "the engine always fuses its signals",
    "security_analysis.jailbreak_enabled": _ONE_ENGINE,
    "security_analysis.jailbreak_threshold": _ONE_ENGINE,
    "security_analysis.injecguard_enabled": _ONE_ENGINE,
    "security_analysis.injecguard_model": _ONE_ENGINE,
    "security_analysis.injecguard_threshold": _ONE_ENGINE,
    "security_analysis.piguard_enabled": _ONE_ENGINE,
    "security_analysis.piguard_model": _ONE_ENGINE,
    "security_analysis.piguard_threshold": _ONE_ENGINE,
    "security_analysis.over_defence": _ONE_ENGINE,
    "judge.min_score_threshold": "set judge.low and judge.high",
    "judge.persist_verdicts": "what the judge says is in the call's record",
    "judge.system_prompt": "the judge's instructions are fixed",
    "judge.vllm": "without `backend: vllm` it has no effect; set judge.model and judge.base_url",
    "judge.openai": "without `backend: openai` it has no effect; set judge.model and judge.base_url",
    "judge.anthropic": "without `backend: anthropic` it has no effect; set judge.model and judge.base_url",
    "judge.deberta": _ONNX,
    "judge.cascade": "the tiers ml and judge are asked one after the other; set their low and high",
    "judge.worker": "set judge.deadline_ms and judge.max_chars",
    "judge.retry": "retries are within judge.deadline_ms",
    "rate_limiting.window_seconds": "a bucket refills all the time; set requests_per_second and burst_size",
    "judge.promotion": "set judge.min_confidence and judge.shadow",
}

# A group as a whole: its state, what to say, and its keys.
GROUPS: Final[dict[str, tuple[Literal["later", "unused"], str, str]]] = {
    "streaming_analysis": (
        "later",
        "there is no switch of its own; streams are inspected under the same policy",
        "enabled token_interval output_enabled early_stop_on_critical",
    ),
    "output_safety": (
        "later",
        "answers are inspected by the same detectors as requests; see enforcement.categories",
        (
            "enabled toxicity_enabled toxicity_threshold block_on_critical hallucination_enabled hallucination_model "
            "hallucination_threshold hallucination_min_response_length"
        ),
    ),
    "pii": ("later", "set enforcement.categories for pii_detected", "action"),
    "grpc": ("unused", "nothing is served over gRPC", "enabled listen_addr"),
    "health_check": ("unused", "/health looks when it is asked", "enabled path interval_seconds timeout_ms retries"),
    "server": ("unused", "there are no debug endpoints", "debug_endpoints"),
    "circuit_breaker": (
        "unused",
        "while the database is away calls wait in the spool, and an analysis that fails is told of in the record",
        "enabled failure_threshold recovery_timeout_ms half_open_max_calls",
    ),
    "zone_detection": ("later", "every segment of a request is inspected", "enabled mode scan_instruction_zones"),
    "ml_pipeline": ("unused", "set ml.threads and ml.deadline_ms", "max_concurrent_requests"),
}

# Environment variables of the proxy that do not name a key of ours.
VARIABLES: Final = frozenset(
    f"LLMTRACE_{name}"
    for name in """
    CLICKHOUSE_URL CLICKHOUSE_DATABASE POSTGRES_URL
    REDIS_URL ML_PRELOAD ML_CACHE_DIR ML_MAX_CONCURRENT LOG_LEVEL LOG_FORMAT RUNTIME_CONFIG
    RATE_LIMIT_RPS RATE_LIMIT_BURST JUDGE_OPENAI_API_KEY JUDGE_ANTHROPIC_API_KEY
    """.split()
)
