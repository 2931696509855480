"""Every name that telemetry writes: attributes, events, metrics, spans.

`gen_ai.*` follows the OpenTelemetry GenAI semantic conventions as released instrumentations emit them (schema
1.37.0). `error.*`, `http.*`, `server.*`, `security_rule.*`, `session.*` and `enduser.*` come from the core registry.
Findings, decisions, policy and cost have no convention yet and live in `llmtrace.*`. The strings are copied because
the modules that hold them upstream are marked unstable.
"""

from __future__ import annotations

from typing import Final

SCOPE: Final = "llmtrace"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.37.0"

# gen_ai.*, request
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"
REQUEST_ENCODING_FORMATS: Final = "gen_ai.request.encoding_formats"
EMBEDDINGS_DIMENSION_COUNT: Final = "gen_ai.embeddings.dimension.count"
OUTPUT_TYPE: Final = "gen_ai.output.type"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
AGENT_NAME: Final = "gen_ai.agent.name"

# gen_ai.*, response
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
USAGE_REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105
TOKEN_MODALITY: Final = "gen_ai.token.modality"  # noqa: S105

# gen_ai.*, content (opt-in)
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"

OPENAI_API_TYPE: Final = "openai.api.type"
OPENAI_REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"

# core registry
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_RESEND_COUNT: Final = "http.request.resend_count"
SESSION_ID: Final = "session.id"
ENDUSER_ID: Final = "enduser.id"
RULE_NAME: Final = "security_rule.name"
RULE_CATEGORY: Final = "security_rule.category"
RULE_RULESET: Final = "security_rule.ruleset.name"
METRIC_OVERFLOW: Final = "otel.metric.overflow"

# llmtrace.*, the call
VERSION: Final = "llmtrace.version"
MODE: Final = "llmtrace.mode"
SPAN_ROLE: Final = "llmtrace.span.role"
RECORD_ID: Final = "llmtrace.record.id"
RECORD_DROPPED: Final = "llmtrace.record.dropped"
DECISION: Final = "llmtrace.decision"
DECISION_PHASE: Final = "llmtrace.decision.phase"
DECISION_REASON: Final = "llmtrace.decision.reason"
VERDICT: Final = "llmtrace.verdict"
SHADOWED: Final = "llmtrace.verdict.shadowed"
ENFORCEMENT_MODE: Final = "llmtrace.enforcement.mode"
FAIL_MODE: Final = "llmtrace.fail_mode"
POLICY_ID: Final = "llmtrace.policy.id"
POLICY_VERSION: Final = "llmtrace.policy.version"
FINDINGS_COUNT: Final = "llmtrace.findings.count"
FINDINGS_MAX_SEVERITY: Final = "llmtrace.findings.max_severity"
FINDINGS_CATEGORIES: Final = "llmtrace.findings.categories"
FINDINGS_DROPPED: Final = "llmtrace.findings.dropped"
UPSTREAM_CALLED: Final = "llmtrace.upstream.called"
CONTENT_MODIFIED: Final = "llmtrace.content.modified"
REDACTIONS_COUNT: Final = "llmtrace.redactions.count"
STREAM_END: Final = "llmtrace.stream.end"
STREAM_CHUNKS: Final = "llmtrace.stream.chunks"
GUARD_DURATION: Final = "llmtrace.guard.duration"
SCAN_TRUNCATED: Final = "llmtrace.scan.truncated"
SCAN_SKIPPED_REASON: Final = "llmtrace.scan.skipped_reason"
COVERAGE_ROW: Final = "llmtrace.coverage.row"
PROMPT_BLOBS: Final = "llmtrace.prompt.blobs"
COST_USD: Final = "llmtrace.cost.usd"
COST_SOURCE: Final = "llmtrace.cost.source"
USAGE_ESTIMATED: Final = "llmtrace.usage.estimated"
BUDGET_WARNINGS: Final = "llmtrace.budget.warnings"
ACTIONS: Final = "llmtrace.actions"
ACTION_NAME: Final = "llmtrace.action.name"
ACTION_STATUS: Final = "llmtrace.action.status"
LIMIT_CODE: Final = "llmtrace.limit.code"
BUDGET_SCOPE: Final = "llmtrace.budget.scope"
BUDGET_WINDOW: Final = "llmtrace.budget.window"
TENANT_ID: Final = "llmtrace.tenant.id"
TAG_PREFIX: Final = "llmtrace.tag."

# llmtrace.*, the guard span of one phase
GUARD_SPANS: Final = {"input": "llmtrace.guard input", "output": "llmtrace.guard output"}
GUARD_PHASE: Final = "llmtrace.guard.phase"
GUARD_DETECTORS: Final = "llmtrace.guard.detectors"
GUARD_VERDICT: Final = "llmtrace.guard.verdict"
GUARD_DEGRADED: Final = "llmtrace.guard.degraded"

# llmtrace.*, one finding
FINDING_EVENT: Final = "llmtrace.finding"
FINDING_ID: Final = "llmtrace.finding.id"
FINDING_TYPE: Final = "llmtrace.finding.type"
FINDING_CATEGORY: Final = "llmtrace.finding.category"
FINDING_SEVERITY: Final = "llmtrace.finding.severity"
FINDING_CONFIDENCE: Final = "llmtrace.finding.confidence"
FINDING_DETECTOR: Final = "llmtrace.finding.detector"
FINDING_TARGET: Final = "llmtrace.finding.target"
FINDING_LOCATION: Final = "llmtrace.finding.location"
FINDING_SPAN_START: Final = "llmtrace.finding.span.start"
FINDING_SPAN_LENGTH: Final = "llmtrace.finding.span.length"
FINDING_MATCH_HASH: Final = "llmtrace.finding.match.hash"
FINDING_ACTION: Final = "llmtrace.finding.action"
FINDING_PHASE: Final = "llmtrace.finding.phase"
COMPONENT: Final = "llmtrace.component"

DETAILS_EVENT: Final = "gen_ai.client.inference.operation.details"

# Metrics. The second set of client metrics is the unreleased renaming of the first; never are both emitted.
DURATION: Final = {"operation": "gen_ai.client.operation.duration", "inference": "gen_ai.client.inference.duration"}
TIME_TO_FIRST_CHUNK: Final = {
    "operation": "gen_ai.client.operation.time_to_first_chunk",
    "inference": "gen_ai.client.inference.time_to_first_chunk",
}
TIME_PER_OUTPUT_CHUNK: Final = {
    "operation": "gen_ai.client.operation.time_per_output_chunk",
    "inference": "gen_ai.client.inference.time_per_output_chunk",
}
TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105
INFERENCE_USAGE_PREFIX: Final = "gen_ai.client.inference.usage."
INFERENCE_INPUT_TOKENS: Final = "gen_ai.client.inference.operation.input_tokens"
INFERENCE_OUTPUT_TOKENS: Final = "gen_ai.client.inference.operation.output_tokens"
DECISIONS_METRIC: Final = "llmtrace.decisions"
FINDINGS_METRIC: Final = "llmtrace.findings"
GUARD_DURATION_METRIC: Final = "llmtrace.guard.duration"
SCAN_SKIPPED_METRIC: Final = "llmtrace.scan.skipped"
ERRORS_METRIC: Final = "llmtrace.errors"
ACTIONS_METRIC: Final = "llmtrace.action.executions"
REJECTIONS_METRIC: Final = "llmtrace.limit.rejections"
BUDGET_WARNINGS_METRIC: Final = "llmtrace.budget.warnings"
UNKNOWN_PRICES_METRIC: Final = "llmtrace.cost.unknown_prices"

# Two drafts of guardrail conventions (semantic-conventions-genai #427 and its counter-draft); only behind an option.
GUARDRAIL_RESULT_EVENT: Final = "gen_ai.guardrail.result"
GUARDRAIL_COMPONENT: Final = "gen_ai.guardrail.component.name"
GUARDRAIL_POLICY_ID: Final = "gen_ai.guardrail.policy.id"
GUARDRAIL_POLICY_VERSION: Final = "gen_ai.guardrail.policy.version"
GUARDRAIL_RULE_ID: Final = "gen_ai.guardrail.policy.rule.id"
GUARDRAIL_RESULT_REASON: Final = "gen_ai.guardrail.result.reason"
GUARDRAIL_RISK_CATEGORY: Final = "gen_ai.guardrail.risk.category"
GUARDRAIL_RISK_SCORE: Final = "gen_ai.guardrail.risk.score"
GUARDRAIL_VERDICT: Final = "gen_ai.guardrail.verdict.type"
GUARDRAIL_VERDICT_REASON: Final = "gen_ai.guardrail.verdict.reason"
GUARDRAIL_ACTION: Final = "gen_ai.guardrail.action.type"
GUARDRAIL_TARGET: Final = "gen_ai.guardrail.target.type"
SECURITY_FINDING_EVENT: Final = "gen_ai.guardrail.security.finding"
SECURITY_POLICY_ID: Final = "gen_ai.guardrail.security.policy.id"
SECURITY_RULE_ID: Final = "gen_ai.guardrail.security.policy.rule.id"
SECURITY_RISK_CATEGORY: Final = "gen_ai.guardrail.security.risk.category"
SECURITY_RISK_SCORE: Final = "gen_ai.guardrail.security.risk.score"
