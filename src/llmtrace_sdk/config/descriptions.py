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
