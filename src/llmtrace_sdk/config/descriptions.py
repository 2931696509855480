"""What keys mean, in one sentence or two, where the docstring of their dataclass speaks of several at once."""

from __future__ import annotations

from typing import Final

_AS_POLICY: Final = "As in `enforcement`, for the calls that match."
_PATTERN: Final = "Shell-style pattern (`*`, `?`, `[a-z]`) for the {}; it matches no call without one."
_GREY: Final = "{} end of the engine's scores between which it is asked."

DESCRIPTIONS: Final = {
    "EnforcementOptions.mode": "What happens when a finding reaches both thresholds.",
    "EnforcementOptions.min_severity": "The severity from which a finding counts.",
    "EnforcementOptions.min_confidence": "The confidence (0..1) from which a finding counts.",
    "EnforcementOptions.categories": "Other rules for single finding types; the first rule of a type wins.",
    "EnforcementOptions.overrides": "Other values for some calls, or for findings of some channels; later ones win.",
    "EnforcementOptions.unscanned": "What happens to a call of which something could not be read.",
    "CategoryRule.finding_type": "The finding type; for `fail_mode` and `budget_ms`, the name of a detector or tier.",
    "CategoryRule.action": "What happens when such a finding reaches both thresholds; `allow`: it causes nothing.",
    "CategoryRule.min_severity": "The severity from which it counts; that of the whole policy if not given.",
    "CategoryRule.min_confidence": "The confidence from which it counts; that of the whole policy if not given.",
    "CategoryRule.shadow": "Nothing is enforced because of this type, only said.",
    "CategoryRule.fail_mode": "What happens to a call when the detector or tier of this name fails.",
    "CategoryRule.budget_ms": "Milliseconds that the detector of this name may take for one text.",
    "Match.tenant": _PATTERN.format("tenant label"),
    "Match.agent": _PATTERN.format("agent label"),
    "Match.user": _PATTERN.format("user label"),
    "Match.model": _PATTERN.format("model in the request"),
    "Match.provider": _PATTERN.format("provider, as in `gen_ai.provider.name`"),
    "Match.channel": "Shell-style pattern for the channel of a finding: user, assistant, system, tool or data.",
    "Override.mode": _AS_POLICY,
    "Override.min_severity": _AS_POLICY,
    "Override.min_confidence": _AS_POLICY,
    "Override.categories": "Rules that come before those of the whole policy.",
    "Override.shadow": _AS_POLICY,
    "Override.unscanned": f"{_AS_POLICY} Not with `match.channel`.",
    "Override.monitoring_scope": f"{_AS_POLICY} Not with `match.channel`.",
    "Override.fail_mode": f"{_AS_POLICY} Not with `match.channel`.",
    "Override.pseudonyms": f"{_AS_POLICY} Not with `match.channel`.",
    "MLOptions.enabled": "Ask a classifier of your own (extra `ml`).",
    "MLOptions.model_path": "The ONNX file of a sequence classifier; it is read from disk and never downloaded.",
    "MLOptions.tokenizer_path": "Its `tokenizer.json`; the one beside the model if not given.",
    "MLOptions.threshold": "The probability from which a text is an attack.",
    "MLOptions.mode": "`async` asks after the call; `inline` before the request is sent, when it can be stopped.",
    "MLOptions.deadline_ms": "Milliseconds that a call, or its record, may wait; if not given 300 inline, 2,000 async.",
    "MLOptions.low": _GREY.format("The lower"),
    "MLOptions.high": _GREY.format("The upper"),
    "MLOptions.threads": "Threads of one run of the model.",
    "JudgeOptions.enabled": "Ask a language model for a second opinion (extra `judge`).",
    "JudgeOptions.provider": "The wire format that it is asked in.",
    "JudgeOptions.base_url": "Where it is asked; at the vendor if not given.",
    "JudgeOptions.model": "The name of the model; must be given when the judge is enabled.",
    "JudgeOptions.api_key_env": (
        "The environment variable that holds the key. If not given: the vendor's usual one at the vendor's own URL, no "
        "key elsewhere."
    ),
    "JudgeOptions.mode": "`async` asks after the call; `inline` before the request is sent.",
    "JudgeOptions.deadline_ms": (
        "Milliseconds that a call, or its record, may wait; 2,000 inline and 5,000 async if not given."
    ),
    "JudgeOptions.min_confidence": "The confidence that the judge must reach to add a finding.",
    "JudgeOptions.shadow": "Its findings are written down with severity info and never cause anything.",
    "JudgeOptions.low": _GREY.format("The lower"),
    "JudgeOptions.high": _GREY.format("The upper"),
    "JudgeOptions.max_chars": "Characters of a text that it sees.",
    "BoundaryOptions.enabled": "Wrap texts in tags; it changes what the vendor sees and bills.",
    "BoundaryOptions.shadow_mode": "Count what would be wrapped, and change nothing.",
    "BoundaryOptions.wrap_roles": "Whose texts: tool (or function), data (retrieved documents), user.",
    "BoundaryOptions.delimiter": "How the name of the tags begins; a nonce of the call follows.",
    "BoundaryOptions.randomize_nonce": "Accepted, without effect: the tags always have a nonce.",
    "BoundaryOptions.inject_system_reminder": "Tell the model what the tags, and the marks of `datamarking`, mean.",
    "BoundaryOptions.system_reminder_text": "Your own words for the tags; `{tag}` in it becomes their name.",
    "DatamarkingOptions.enabled": "Put a mark for the white space in texts of tools and documents.",
    "DatamarkingOptions.shadow_mode": "Count what would be marked, and change nothing.",
    "MarkerStrategy.kind": "`randomized`: another private-use character in each call; `fixed`: U+E000.",
    "JudgeRouteOptions.inline_await": (
        "Ask the judge before the request is sent, where the policy could stop it; else after the call."
    ),
    "JudgeRouteOptions.inline_timeout_ms": "Milliseconds that a call may wait for it then.",
    "RateOptions.enabled": "Limit calls; not given: in the relay only.",
    "RateOptions.requests_per_second": "Calls per second and tenant; 0 is no limit.",
    "RateOptions.burst_size": "How many calls may come at once.",
    "RateOptions.tenant_overrides": "Other values by tenant.",
    "RateOptions.max_concurrent": "How many calls of a tenant may be under way at once.",
    "RateOptions.max_call_s": "Seconds after which a call whose end was never told is not counted any more.",
    "TenantRate.requests_per_second": "Calls per second; 0 is no limit.",
    "TenantRate.burst_size": "How many calls may come at once.",
    "BudgetCap.window": "hourly, daily, weekly or monthly (30 days), from multiples of it since 1970.",
    "BudgetCap.hard_limit_usd": "US dollars over which calls are refused.",
    "BudgetCap.soft_limit_usd": "US dollars over which there are warnings; not given: 80 % of the hard limit.",
    "BudgetCap.hard_limit_tokens": "Tokens over which calls are refused.",
    "BudgetCap.soft_limit_tokens": "Tokens over which there are warnings; not given: 80 % of the hard limit.",
    "TokenCap.max_prompt_tokens": "Tokens of one request, as estimated.",
    "TokenCap.max_completion_tokens": "Tokens that one request may ask for.",
    "TokenCap.max_total_tokens": "Both together.",
    "ScopedCaps.agent_id": _PATTERN.format("agent label"),
    "ScopedCaps.model": _PATTERN.format("model in the request"),
    "ScopedCaps.user": _PATTERN.format("user label"),
    "ScopedCaps.session": _PATTERN.format("session label"),
    "ScopedCaps.budget_caps": "Budgets beside those of the tenant; each name has sums of its own.",
    "ScopedCaps.token_cap": "What one call may ask for.",
    "CostCapOptions.enabled": "Refuse calls that cost too much.",
    "CostCapOptions.default_budget_caps": "The budgets of each tenant.",
    "CostCapOptions.default_token_cap": "What one call may ask for.",
    "CostCapOptions.agents": "Caps of agents, models, users or sessions, beside those of the tenant.",
    "CostCapOptions.default_completion_tokens": "Reserved for an answer whose length the request does not bound.",
    "CostOptions.enabled": "Say what calls cost.",
    "CostOptions.pricing_file": "Prices by model (YAML, JSON, TOML), or a price list in place of the one that ships.",
    "CostOptions.custom_models": "Prices by the beginning of a model's name; they come before all others.",
    "CustomPrice.input_per_million": "US dollars per million tokens of input.",
    "CustomPrice.output_per_million": "Of output.",
    "CustomPrice.cached_input_per_million": "Of input read from the cache; not given: as input.",
    "CustomPrice.cache_write_per_million": "Of input written to the cache; not given: as input.",
    "CustomPrice.cache_write_1h_per_million": "The same for an hour; not given: as for less.",
    "CustomPrice.reasoning_per_million": "Of reasoning; not given: as output.",
    "CustomPrice.per_thousand_requests": "US dollars per thousand calls, beside the tokens.",
    "CustomPrice.tier_factors": "What service tiers cost, as factors of all that: `{batch: 0.5}`.",
    "StateOptions.url": "Redis or Valkey: redis://, rediss:// or redis-cluster://; not given: this process alone.",
    "StateOptions.timeout_ms": "Milliseconds that a call waits for the store.",
    "StateOptions.fail_mode": "Without an answer: limits of this process alone (`open`), or refusals (`closed`).",
    "Settings.relay_key_env": "The environment variable with the key for it, sent as `X-LLMTrace-Token`.",
    "StateOptions.secret_env": (
        "The environment variable with the secret that names and addresses in keys are hashed with: the same in all "
        "processes that share the state. Without one they are only out of sight."
    ),
    "CredentialOptions.mode": "What happens to a call that gives a key to somebody else; not that of `enforcement`.",
    "CredentialOptions.allowed_hosts": (
        "Shell-style patterns of hosts that may get any key; one that begins with `http://` allows it unencrypted."
    ),
    "CredentialOptions.strict": "Hosts of this machine and of private networks must be allowed, too.",
    "AnomalyOptions.enabled": "Compare calls with earlier ones of the same tenant, model and agent in this process.",
    "AnomalyOptions.window_size": (
        "How many earlier values are looked at; for calls per minute, how many spans of ten seconds with calls in them."
    ),
    "AnomalyOptions.sigma_threshold": "From how many standard deviations above what is usual it is a finding.",
    "AnomalyOptions.check_cost": "Compare what calls cost.",
    "AnomalyOptions.check_tokens": "Compare their tokens, in and out together.",
    "AnomalyOptions.check_velocity": "Compare how many there are in a minute.",
    "AnomalyOptions.check_latency": "Compare how long answers take, or streamed ones to begin.",
    "TelemetryOptions.spans": (
        "`auto`: an inference span unless another library made one; `guard_only`: guard spans only; `off`: none."
    ),
    "TelemetryOptions.capture": "Where the content of messages is kept; the switch that OpenTelemetry defines.",
    "TelemetryOptions.content": "The form of what is captured.",
    "TelemetryOptions.emit_events": "Give findings and captured content to OpenTelemetry's logs as events.",
    "TelemetryOptions.semconv_guardrail": "Also use names of drafts of the guardrail conventions.",
    "TelemetryOptions.semconv_metrics": (
        "The names of metrics: those of released instrumentations, or the later `gen_ai.client.inference.*`."
    ),
    "TelemetryOptions.service_name": "The service's name when `otlp` sets up the providers.",
}
"""By class and field."""
