"""A finished record -> measurements. Counters see every call, whatever head sampling does with its span."""

from __future__ import annotations

from collections import Counter as Counts
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from opentelemetry import metrics as metrics_api

from llmtrace_sdk.core.admission import Refused
from llmtrace_sdk.telemetry import names
from llmtrace_sdk.telemetry.attributes import decision_name, error_type, time_to_first_chunk
from llmtrace_sdk.telemetry.bounds import attributes

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider

    from llmtrace_sdk.core.model import CallRecord, Usage

Naming = Literal["operation", "inference"]

# semantic-conventions-genai, gen-ai-metrics: the boundaries that the conventions advise.
SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS: Final = tuple(4**n for n in range(14))
GUARD_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
# Model names come from requests: without a bound, a relay's clients could grow our memory and the time series.
SETS_LIMIT: Final = 1024
_OVERFLOW: Final = {names.METRIC_OVERFLOW: True}


class AttributeSets:
    """Attribute dictionaries by the values they were made of, so that a call allocates none.

    At most `SETS_LIMIT`; every further combination shares the overflow set of the OpenTelemetry metrics SDK
    specification (cardinality limits).
    """

    __slots__ = ("_sets",)

    def __init__(self) -> None:
        self._sets: dict[tuple[Hashable, ...], Mapping[str, Any]] = {}

    def of(self, keys: tuple[str, ...], *values: Hashable) -> Mapping[str, Any]:
        """The set of `keys` with `values`; a None value leaves its key out."""
        found = self._sets.get((keys, *values))
        if found is None:
            if len(self._sets) >= SETS_LIMIT:
                return _OVERFLOW
            found = self._sets[keys, *values] = attributes(dict(zip(keys, values, strict=True)))
        return found


_CLIENT: Final = (
    names.OPERATION,
    names.PROVIDER,
    names.REQUEST_MODEL,
    names.RESPONSE_MODEL,
    names.SERVER_ADDRESS,
    names.SERVER_PORT,
    names.ERROR_TYPE,
)
_CLIENT_TOKEN_TYPE: Final = (*_CLIENT, names.TOKEN_TYPE)
_CLIENT_TOKEN_MODALITY: Final = (*_CLIENT, names.TOKEN_MODALITY)
_DECISION: Final = (names.DECISION, names.DECISION_PHASE, names.MODE, names.PROVIDER, names.POLICY_ID)
_FINDING: Final = (names.FINDING_CATEGORY, names.FINDING_SEVERITY, names.FINDING_DETECTOR)
_GUARD: Final = (names.GUARD_PHASE,)
_SKIPPED: Final = (names.SCAN_SKIPPED_REASON,)
_ERROR: Final = (names.COMPONENT,)
_ACTION: Final = (names.ACTION_NAME, names.ACTION_STATUS)
_LIMIT: Final = (names.LIMIT_CODE,)
_BUDGET: Final = (names.BUDGET_SCOPE, names.BUDGET_WINDOW)
_UNPRICED: Final = (names.PROVIDER,)
_REFUSED: Final = frozenset(get_args(Refused))


class _Instruments:
    """The instruments that exist whatever the naming is, made at the first record."""

    def __init__(self, meter: Meter, naming: Naming) -> None:
        self.duration = _seconds(meter, names.DURATION[naming], "Duration of a call to a model")
        self.first_chunk = _seconds(meter, names.TIME_TO_FIRST_CHUNK[naming], "Time from request to first chunk")
        self.per_chunk = _seconds(meter, names.TIME_PER_OUTPUT_CHUNK[naming], "Mean time per chunk after the first")
        self.decisions = meter.create_counter(names.DECISIONS_METRIC, "{decision}", "Calls by what was decided")
        self.findings = meter.create_counter(names.FINDINGS_METRIC, "{finding}", "Detected facts")
        self.guard = _seconds(meter, names.GUARD_DURATION_METRIC, "Time spent inspecting one phase", GUARD_SECONDS)
        self.skipped = meter.create_counter(names.SCAN_SKIPPED_METRIC, "{call}", "Calls not wholly inspected")
        self.errors = meter.create_counter(names.ERRORS_METRIC, "{error}", "Faults of llmtrace itself")
        self.actions = meter.create_counter(names.ACTIONS_METRIC, "{execution}", "Actions, by how they ended")
        self.rejections = meter.create_counter(names.REJECTIONS_METRIC, "{call}", "Calls refused by a limit or a block")
        self.warnings = meter.create_counter(names.BUDGET_WARNINGS_METRIC, "{warning}", "Budgets nearly spent")
        self.unpriced = meter.create_counter(names.UNKNOWN_PRICES_METRIC, "{call}", "Calls whose price is not known")


def _seconds(meter: Meter, name: str, description: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
    return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=buckets)


class _Tokens:
    """One histogram of token counts by type: what released instrumentations emit."""

    def __init__(self, meter: Meter, sets: AttributeSets) -> None:
        self._sets = sets
        self._usage = meter.create_histogram(
            names.TOKEN_USAGE, "{token}", "Tokens used per call", explicit_bucket_boundaries_advisory=TOKENS
        )

    def record(self, record: CallRecord, context: Context | None) -> None:
        usage, client = record.answer.usage, _client(record)
        for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if count is not None:
                self._usage.record(count, self._sets.of(_CLIENT_TOKEN_TYPE, *client, kind), context)


class _InferenceTokens:
    """Counters per kind of token and two histograms: the unreleased renaming. A failed call counts as zero tokens."""

    def __init__(self, meter: Meter, sets: AttributeSets) -> None:
        self._sets = sets
        self._counters: dict[str, Counter] = {}
        self._meter = meter
        self._sizes = {
            names.USAGE_INPUT_TOKENS: _token_sizes(meter, names.INFERENCE_INPUT_TOKENS),
            names.USAGE_OUTPUT_TOKENS: _token_sizes(meter, names.INFERENCE_OUTPUT_TOKENS),
        }

    def record(self, record: CallRecord, context: Context | None) -> None:
        failed = error_type(record) is not None
        modality = "unknown" if failed or record.prompt.blobs else "text"
        client = self._sets.of(_CLIENT_TOKEN_MODALITY, *_client(record), modality)
        for name, count in _usage(record.answer.usage).items():
            size = self._sizes.get(name)
            if count is None and failed and size is not None:
                count = 0  # noqa: PLW2901 - the conventions want the failed call to be seen
            if count is None:
                continue
            self._counter(name).add(count, client, context)
            if size is not None:
                size.record(count, client, context)

    def _counter(self, attribute: str) -> Counter:
        found = self._counters.get(attribute)
        if found is None:
            name = names.INFERENCE_USAGE_PREFIX + attribute.removeprefix("gen_ai.usage.")
            found = self._counters[attribute] = self._meter.create_counter(name, "{token}", "Tokens used")
        return found


def _token_sizes(meter: Meter, name: str) -> Histogram:
    return meter.create_histogram(name, "{token}", "Tokens per call", explicit_bucket_boundaries_advisory=TOKENS)


def _usage(usage: Usage) -> dict[str, int | None]:
    return {
        names.USAGE_INPUT_TOKENS: usage.input_tokens,
        names.USAGE_OUTPUT_TOKENS: usage.output_tokens,
        names.USAGE_CACHE_READ_TOKENS: usage.cache_read_tokens,
        names.USAGE_CACHE_WRITE_TOKENS: usage.cache_write_tokens,
        names.USAGE_REASONING_TOKENS: usage.reasoning_tokens,
    }


def _client(record: CallRecord) -> tuple[Hashable, ...]:
    return (
        record.operation,
        record.provider,
        record.prompt.model,
        record.answer.model,
        record.address,
        record.port,
        error_type(record),
    )


class Metrics:
    """The meter's side of telemetry; instruments are made at the first measurement, after the application set up its
    provider.
    """

    __slots__ = ("_instruments", "_mode", "_naming", "_policy_id", "_provider", "_sets", "_tokens", "_version")

    def __init__(
        self, naming: Naming, *, version: str, mode: str, policy_id: str, provider: MeterProvider | None
    ) -> None:
        self._naming = naming
        self._version = version
        self._mode = mode
        self._policy_id = policy_id
        self._provider = provider
        self._sets = AttributeSets()
        self._instruments: _Instruments | None = None
        self._tokens: _Tokens | _InferenceTokens | None = None

    def record_guarding(self, record: CallRecord, context: Context | None = None) -> None:
        """What is measured for every call: decision, findings, time spent, gaps and faults."""
        instruments, sets = self._ready(), self._sets
        decision = record.decision
        instruments.decisions.add(
            1,
            sets.of(
                _DECISION,
                decision_name(decision.action),
                decision.phase,
                self._mode,
                record.provider,
                self._policy_id,
            ),
            context,
        )
        kinds = Counts((f.category or f.type, f.severity.label, f.detector) for f in record.findings)
        for kind, count in kinds.items():
            instruments.findings.add(count, sets.of(_FINDING, *kind), context)
        timings = record.timings
        for phase, spent in (("input", timings.parse + timings.scan_input), ("output", timings.scan_output)):
            if spent:
                instruments.guard.record(spent / 1e9, sets.of(_GUARD, phase), context)
        if record.coverage.state != "scanned":
            for reason in record.coverage.reasons:
                instruments.skipped.add(1, sets.of(_SKIPPED, reason), context)
        if decision.degraded:
            for component in _failed(record):
                instruments.errors.add(1, sets.of(_ERROR, component), context)
        self._record_limits(instruments, record, context)

    def _record_limits(self, instruments: _Instruments, record: CallRecord, context: Context | None) -> None:
        """What limits, prices and actions made of a call. Agents, users and other names are none of the dimensions."""
        sets, decision = self._sets, record.decision
        if decision.blocked and decision.reason in _REFUSED:
            instruments.rejections.add(1, sets.of(_LIMIT, decision.reason), context)
        for warning in record.warnings:
            instruments.warnings.add(1, sets.of(_BUDGET, warning.scope, warning.window), context)
        if record.cost_source == "unknown":
            instruments.unpriced.add(1, sets.of(_UNPRICED, record.provider), context)
        for action in record.actions:
            instruments.actions.add(1, sets.of(_ACTION, action.name, action.status), context)

    def record_client(self, record: CallRecord, context: Context | None = None) -> None:
        """The `gen_ai.client.*` metrics. A call that was refused before it was sent is none of a client's."""
        if not record.upstream_called:
            return
        instruments = self._ready()
        client = self._sets.of(_CLIENT, *_client(record))
        instruments.duration.record(max(record.ended_ns - record.started_ns, 0) / 1e9, client, context)
        first = time_to_first_chunk(record)
        if first is not None and record.first_chunk_ns is not None:
            instruments.first_chunk.record(first, client, context)
            if record.chunks > 1:
                rest = max(record.ended_ns - record.first_chunk_ns, 0) / 1e9
                instruments.per_chunk.record(rest / (record.chunks - 1), client, context)
        if self._tokens is not None:
            self._tokens.record(record, context)

    def record_fault(self, component: str) -> None:
        """Count a fault of our own."""
        self._ready().errors.add(1, self._sets.of(_ERROR, component))

    def _ready(self) -> _Instruments:
        if self._instruments is None:
            meter = metrics_api.get_meter(names.SCOPE, self._version, self._provider, names.SCHEMA_URL)
            tokens = _Tokens if self._naming == "operation" else _InferenceTokens
            self._tokens = tokens(meter, self._sets)
            self._instruments = _Instruments(meter, self._naming)
        return self._instruments


def _failed(record: CallRecord) -> set[str]:
    """The components that failed, from the coverage codes `detector_failed` and `<component>_fault`."""
    reasons = record.coverage.reasons
    failed = {reason.removesuffix("_fault") for reason in reasons if reason.endswith("_fault")}
    return failed | {"detector"} if "detector_failed" in reasons else failed or {"unknown"}
