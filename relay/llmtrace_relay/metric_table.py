"""Every metric there is, by name (spec of LLMTrace's proxy, sections 7.4 and 21, and what that says is missing)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

REQUEST_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
FIRST_TOKEN_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
DETECTOR_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
ADDED_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Counted(NamedTuple):
    """A counter that others count up. `labels` are its label names."""

    help: str
    labels: tuple[str, ...] = ()


class Watched(NamedTuple):
    """A metric whose value somebody tells when it is asked for. `mode`: what several workers' values come to, as
    prometheus_client names it; None for a counter, whose values are added up.
    """

    help: str
    labels: tuple[str, ...] = ()
    mode: Literal["livesum", "livemin", "livemax"] | None = None


COUNTED: Final = {
    "llmtrace_reported_spans_total": Counted("Spans that other programs reported", ("result",)),
    "llmtrace_storage_operations_total": Counted("What was asked of the database", ("operation", "status")),
    "llmtrace_feature_flag_updates_total": Counted("Changes of feature flags at run time", ("feature",)),
}

WATCHED: Final = {
    "llmtrace_spool_pending": Watched("Calls that wait for the database", (), "livesum"),
    "llmtrace_spool_dropped_total": Watched("Calls that were not kept because too many waited for the database"),
    "llmtrace_records_dropped_total": Watched("Calls without a record because too many waited for the worker thread"),
    "llmtrace_faults_total": Watched("Faults of the relay itself", ("component",)),
    "llmtrace_storage_up": Watched("Whether the database answers", (), "livemin"),
    "llmtrace_state_up": Watched("Whether the store of shared limits answers", (), "livemin"),
    "llmtrace_draining": Watched("Whether the relay is about to end", (), "livemax"),
    "llmtrace_circuit_breaker_state": Watched(
        "1 for the state that a subsystem is in: closed while it answers, open while it does not",
        ("subsystem", "state"),
        "livemax",
    ),
    "llmtrace_feature_flag_bool_state": Watched("1 for a feature flag that is on", ("feature",), "livemax"),
    "llmtrace_feature_flag_string_state": Watched(
        "1 for the value that a feature flag has", ("feature", "value"), "livemax"
    ),
    "process_virtual_memory_bytes": Watched("Virtual memory of all workers", (), "livesum"),
    "process_resident_memory_bytes": Watched("Resident memory of all workers", (), "livesum"),
    "process_open_fds": Watched("Open file descriptors of all workers", (), "livesum"),
    "process_max_fds": Watched("File descriptors that a worker may have open", (), "livemin"),
    "process_start_time_seconds": Watched("When the oldest worker began, in Unix time", (), "livemin"),
    "process_cpu_seconds_total": Watched("Processor time of all workers"),
}


class Instruments:
    """What records are counted in. Made once in a process; `registry` is where it is told from."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def seconds(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        def gauge(name: str, text: str, mode: Literal["livesum", "livemax"], *labels: str) -> Gauge:
            return Gauge(name, text, labels, multiprocess_mode=mode, registry=registry)

        name = "llmtrace_{}".format
        call = ("provider", "model")
        self.requests = counter(name("requests_total"), "Calls", *call, "status_code")
        self.calls = counter(name("calls_total"), "Calls by how they ended", "outcome", "action")
        self.duration = seconds(name("request_duration_seconds"), "Duration of calls", REQUEST_SECONDS, *call)
        text = "Time until the first piece of a streamed answer"
        self.first_token = seconds(name("time_to_first_token_seconds"), text, FIRST_TOKEN_SECONDS, *call)
        self.tokens = counter(name("tokens_total"), "Tokens of calls", "direction", *call)
        text = "Estimated cost of calls in millionths of a dollar"
        self.cost = counter(name("cost_usd_total"), text, "tenant", "model")
        self.findings = counter(name("security_findings_total"), "Security findings", "severity", "finding_type")
        self.anomalies = counter(name("anomalies_total"), "Calls that are unlike those before", "anomaly_type")
        text = "Time that inspecting a call takes"
        self.detectors = seconds(name("security_detector_latency_seconds"), text, DETECTOR_SECONDS, "detector")
        self.added = seconds(name("overhead_seconds"), "Time that the relay itself adds to a call", ADDED_SECONDS)
        text = "Calls that were not wholly inspected, by reason"
        self.unread = counter(name("analyzer_dropped_total"), text, "reason")
        text = "Actions after calls"
        self.actions = counter(name("action_executions_total"), text, "action_type", "status", "mode")
        self.limited = counter(name("limit_rejections_total"), "Calls over a limit", "limit")
        text = "Requests that the relay answered itself with an error"
        self.refused = counter(name("refused_requests_total"), text, "status_code", "reason")
        text = "Calls that the upstream failed"
        self.upstream = counter(name("upstream_errors_total"), text, "provider", "error_type")
        self.active = gauge(name("active_connections"), "Calls under way", "livesum")
        self.build = gauge(name("build_info"), "Which relay this is", "livemax", "version", "python")
