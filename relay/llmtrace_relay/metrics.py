"""What Prometheus is told: every call's record counted, with a bounded number of time series.

With several workers (`metric_folder`) each of them counts in files, and each can tell the sums of all.
"""

from __future__ import annotations

import asyncio
import platform
from typing import TYPE_CHECKING, Final

import prometheus_client as prometheus
from prometheus_client import CollectorRegistry, Counter, exposition, multiprocess

import llmtrace_sdk
from llmtrace_relay.metric_folder import UNREADABLE, forget_dead, locked, shared
from llmtrace_relay.metric_labels import (
    ANOMALY,
    CODES_LIMIT,
    MODELS_LIMIT,
    OTHER,
    TENANTS_LIMIT,
    Names,
    known_findings,
    known_providers,
    model_shaped,
    status_label,
    status_told,
)
from llmtrace_relay.metric_table import COUNTED, WATCHED, Instruments
from llmtrace_relay.metric_watch import VALUES_LIMIT, Process, Watch
from llmtrace_sdk.core.model import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from llmtrace_relay.metric_watch import Told
    from llmtrace_sdk.core.model import CallRecord

FRESH_S: Final = 5.0
LIMITS: Final = (
    "rate_limit_exceeded",
    "concurrency_limit_exceeded",
    "cost_cap_exceeded",
    "blocked_source",
    "state_unavailable",
)
_SEVERITIES: Final = {severity: severity.label.capitalize() for severity in Severity}
_PAIRS_LIMIT: Final = 400
_READS: Final = 3
_MODE: Final = "async"


class _Series:
    """The time series of one provider and model."""

    __slots__ = ("_all", "_by_status", "_provider", "completion", "duration", "first_token", "model", "prompt")

    def __init__(self, made: Instruments, provider: str, model: str) -> None:
        self._provider = provider
        self.model = model
        self._all = made.requests
        self._by_status: dict[int | None, Counter] = {}
        self.duration = made.duration.labels(provider, model)
        self.first_token = made.first_token.labels(provider, model)
        self.prompt = made.tokens.labels("prompt", provider, model)
        self.completion = made.tokens.labels("completion", provider, model)

    def of_status(self, status: int | None) -> Counter:
        found = self._by_status.get(status)
        if found is None:
            found = self._all.labels(self._provider, self.model, status_label(status))
            if len(self._by_status) < VALUES_LIMIT:
                self._by_status[status] = found
        return found


class _Counters(dict[tuple[str, ...], Counter]):
    """The counters of one metric by label values, which must be bounded: to look one up here costs half."""

    def __init__(self, metric: Counter) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> Counter:
        found = self[labels] = self._metric.labels(*labels)
        return found


class Metrics:
    """The metrics of one worker. `providers` and `finding_types` are known beside ours: those of third parties.

    `active` counts calls under way: `.inc()`, `.dec()`. Raises `ValueError` for names that are not in the tables.
    """

    def __init__(self, providers: Iterable[str] = (), finding_types: Iterable[str] = ()) -> None:
        self._folder = shared()
        self._registry = CollectorRegistry()
        prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._made = made = Instruments(self._registry)
        self._counted = {
            name: Counter(name, row.help, row.labels, registry=self._registry) for name, row in COUNTED.items()
        }
        self._counted_names = {name: [Names(VALUES_LIMIT) for _ in row.labels] for name, row in COUNTED.items()}
        self._watched: dict[str, Watch] = {}
        self.active = made.active
        self._providers = Names(0, known_providers() | set(providers))
        self._finding_types = Names(0, known_findings() | set(finding_types))
        self._models = Names(MODELS_LIMIT, shaped=model_shaped)
        self._tenants = Names(TENANTS_LIMIT)
        self._codes = {name: Names(CODES_LIMIT) for name in ("reason", "unread", "error", "action")}
        self._series: dict[tuple[str, str], _Series] = {}
        self._costs = _Counters(made.cost)
        self._calls, self._findings, self._actions = map(_Counters, (made.calls, made.findings, made.actions))
        self._ensemble = made.detectors.labels("ensemble")
        made.build.labels(llmtrace_sdk.__version__, platform.python_version()).set(1)
        self._process = Process()
        for name in self._process.names():
            self.watch(name, self._process.telling(name))

    def observe(self, record: CallRecord) -> None:
        """Count a call. On one thread, the worker's."""
        made, usage = self._made, record.answer.usage
        status, answered = status_told(record), record.status is not None and record.status < 400
        series = self._series_of(record.provider, record.prompt.model or record.answer.model or "", answered=answered)
        series.of_status(status).inc()
        series.duration.observe(max(record.ended_ns - record.started_ns, 0) / 1e9)
        self._calls[record.outcome, record.decision.action].inc()
        made.added.observe(record.timings.added / 1e9)
        if record.streamed and record.first_chunk_ns is not None:
            series.first_token.observe(max(record.first_chunk_ns - record.started_ns, 0) / 1e9)
        if usage.input_tokens:
            series.prompt.inc(usage.input_tokens)
        if usage.output_tokens:
            series.completion.inc(usage.output_tokens)
        if record.detectors:
            self._ensemble.observe((record.timings.scan_input + record.timings.scan_output) / 1e9)
        if record.cost_usd:
            self._count_cost(record, record.cost_usd, series)
        if record.findings:
            self._count_findings(record)
        for action in record.actions:
            self._actions[self._codes["action"].of(action.name), action.status, _MODE].inc()
        if record.coverage.state != "scanned":
            for reason in record.coverage.reasons:
                made.unread.labels(self._codes["unread"].of(reason)).inc()
        if record.outcome != "complete":
            self._count_failure(record, status)

    def refused(self, status: int, reason: str) -> None:
        """Count a request that the relay answered itself and that never became a call. From any thread."""
        self._made.refused.labels(status_label(status), self._codes["reason"].of(reason)).inc()

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Count one of `metric_table.COUNTED` up. From any thread."""
        counter = self._counted.get(name)
        if counter is None:
            raise ValueError(f"there is no counter {name!r}; there are {', '.join(COUNTED)}")
        shown = [names.of(text) for names, text in zip(self._counted_names[name], labels, strict=True)]
        (counter.labels(*shown) if shown else counter).inc(by)

    def watch(self, name: str, ask: Callable[[], Told]) -> None:
        """Ask for the value of one of `metric_table.WATCHED` now and whenever metrics are told, on whatever thread.

        A counter's value is the count so far. A metric with labels is told as a mapping from label values (a text, or
        a tuple of texts) to numbers; label values that are no longer told count as 0.
        """
        if name not in WATCHED:
            raise ValueError(f"there is no metric {name!r} to watch; there are {', '.join(WATCHED)}")
        if name in self._watched:
            raise ValueError(f"{name} is watched already")
        self._watched[name] = Watch(name, ask, self._registry)

    def refresh(self) -> None:
        """Ask for what is watched, so that the other workers can tell it."""
        self._process.look()
        for watch in list(self._watched.values()):
            watch.look()

    async def keep_fresh(self, every_s: float = FRESH_S) -> None:
        """Refresh for ever, off the event loop: what a worker among several needs. Ends by being cancelled."""
        while True:
            await asyncio.get_running_loop().run_in_executor(None, self.refresh)
            await asyncio.sleep(every_s)

    def render(self, accept: str | None = None) -> tuple[bytes, str]:
        """Everything as text, and its content type: what `accept` asks for, else version 0.0.4 of Prometheus' own.

        It may take some hundredths of a second when there are many time series: call it on a thread.
        """
        self.refresh()
        try:
            encode, content_type = exposition.choose_encoder(accept or "")
        except (ValueError, TypeError):  # a version that is no number
            encode, content_type = exposition.choose_encoder("")
        if self._folder is None:
            return encode(self._registry), content_type
        return self._of_all(self._folder, encode), content_type

    def _of_all(self, folder: Path, encode: Callable[[CollectorRegistry], bytes]) -> bytes:
        forget_dead(folder)
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
        for _ in range(_READS - 1):
            try:
                with locked(folder):
                    return encode(registry)
            except UNREADABLE:
                continue
        with locked(folder):
            return encode(registry)

    def _series_of(self, provider: str, model: str, *, answered: bool) -> _Series:
        # a name that no upstream has answered to yet may be anybody's invention
        key = self._providers.of(provider), self._models.of(model, doubtful=not answered)
        found = self._series.get(key)
        if found is None:
            if len(self._series) >= _PAIRS_LIMIT:
                key = key[0], OTHER
            found = self._series.setdefault(key, _Series(self._made, *key))
        return found

    def _count_cost(self, record: CallRecord, dollars: float, series: _Series) -> None:
        key = self._tenants.of(record.labels.tenant or "none"), series.model
        if len(self._costs) >= _PAIRS_LIMIT and key not in self._costs:
            key = OTHER, OTHER
        self._costs[key].inc(dollars * 1e6)

    def _count_findings(self, record: CallRecord) -> None:
        for finding in record.findings:
            kind = self._finding_types.of(finding.type)
            self._findings[_SEVERITIES[finding.severity], kind].inc()
            if kind.startswith(ANOMALY):
                self._made.anomalies.labels(kind.removeprefix(ANOMALY)).inc()

    def _count_failure(self, record: CallRecord, status: int | None) -> None:
        made, reason = self._made, record.decision.reason
        if record.outcome == "upstream_error":
            error = self._codes["error"].of(record.error_type or "unknown")
            made.upstream.labels(self._providers.of(record.provider), error).inc()
            if record.status is None:
                self.refused(502, "upstream")
        elif record.outcome == "blocked":
            if reason in LIMITS:
                made.limited.labels(reason).inc()
            if status is not None and status >= 400:
                self.refused(status, reason or OTHER)
        elif record.outcome == "client_error" and not record.upstream_called:
            self.refused(status or 400, "too_large" if status == 413 else "client_error")
