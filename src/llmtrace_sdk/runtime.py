"""The wiring: settings -> pipeline, telemetry, worker; and the one runtime that a process normally has."""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk import belongings, labels, providers, wiring
from llmtrace_sdk import config as configuration
from llmtrace_sdk.attending import Attending
from llmtrace_sdk.core import streaming
from llmtrace_sdk.core.exchange import Exchange
from llmtrace_sdk.faults import count_fault, faults  # noqa: F401 - the counts are read here, too
from llmtrace_sdk.origin import Origin
from llmtrace_sdk.replies import Memory, key_of
from llmtrace_sdk.telemetry.spans import Telemetry
from llmtrace_sdk.worker import EXIT_FLUSH_S, Worker

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    from llmtrace_sdk.aftermath import Aftermath
    from llmtrace_sdk.config import Settings
    from llmtrace_sdk.core.claims import Admission, Claims
    from llmtrace_sdk.core.effects import Ask
    from llmtrace_sdk.core.model import CallRecord, Decision
    from llmtrace_sdk.core.tiers import Reply
    from llmtrace_sdk.telemetry.setup import Exporters
    from llmtrace_sdk.telemetry.spans import CallSpan
    from llmtrace_sdk.tiers.desk import Desk
    from llmtrace_sdk.typing import RequestHead

BLOCKS_REMEMBERED: Final = 1024
# How far the worker may be behind before calls are inspected on their own threads again.
DEFERRED_LIMIT: Final = 64
log = logging.getLogger("llmtrace")


class Runtime:
    """One configured pipeline with its telemetry and its worker. Made by `configure`, shared by every transport."""

    def __init__(self, settings: Settings, previous: Runtime | None = None) -> None:
        """`previous` is the runtime that this one replaces after a reload: what is dear and the same goes on."""
        self.settings = settings
        policy = settings.enforcement
        self.raises = policy.on_block == "raise"
        self.pipeline = wiring.pipeline(settings)
        self.at_once = wiring.judged_at_once(settings)
        self.introduction = wiring.introduction(settings)
        was = previous.settings if previous is not None else None
        self._aftermath: Aftermath | None = belongings.aftermath(settings, previous._aftermath if previous else None)
        self._desk: Desk | None = belongings.desk(settings, was, previous._desk if previous else None)
        self._replies = Memory(time.monotonic)
        self._sharing = belongings.share(settings) if self.pipeline.quota is not None else None
        self.telemetry = Telemetry(
            settings.telemetry,
            enforcement_mode="log" if policy.shadow else policy.mode,
            fail_mode=policy.fail_mode,
            policy_version=settings.policy_hash,
            hash_key=belongings.content_key(),
            on_fault=count_fault,
        )
        if settings.telemetry.otlp and previous is None:
            from llmtrace_sdk.telemetry.setup import configure_otlp

            exporters = configure_otlp(settings.telemetry, settings.telemetry.service_name, drain=_drain)
            if exporters is not None and exporters not in _exporters:
                _exporters.append(exporters)

    def warm(self) -> None:
        """Compile and load now what the first call would have to wait for."""
        engine, policy = self.pipeline.engine, self.pipeline.policy
        engine.warm()
        if policy.may_stop_output:
            streaming.warm(engine, policy)

    # the hot path

    def open(self, head: RequestHead, *, everything: bool, ends: bool = False) -> Exchange | None:
        """An exchange for a request, or None when it is none of our business. `ends`: see `Exchange`."""
        try:
            found = providers.find(head)
            if found is None:
                if not everything and not providers.is_known_host(head.host):
                    return None
                return Exchange(self.pipeline, head, None, None, labels.current())
            may_defer = worker.waiting < DEFERRED_LIMIT
            return Exchange(self.pipeline, head, found[0], found[1], labels.current(), may_defer=may_defer, ends=ends)
        except Exception as error:  # noqa: BLE001 - never hurt the host
            count_fault("match", error)
            return None

    def start_span(self, exchange: Exchange) -> CallSpan | None:
        """The span of a call that has just been inspected; None when there is no telemetry for it."""
        endpoint, head = exchange.endpoint, exchange.head
        if endpoint is None:
            return None
        try:
            model, stream = exchange.prompt.model or endpoint.model, exchange.prompt.stream
            return self.telemetry.start(endpoint, model, head.host, head.port, exchange.started_ns, stream)
        except Exception as error:  # noqa: BLE001 - never hurt the host
            count_fault("telemetry", error)
            return None

    def propagate(self, span: CallSpan, request: Any) -> None:
        """Give the request a `traceparent` if its host may have one (none may, by default)."""
        if self.settings.telemetry.propagate_hosts and "traceparent" not in request.headers:
            for name, value in self.telemetry.headers_for(span, request.url.host):
                request.headers[name] = value

    def ask(self, ask: Ask) -> tuple[Reply, ...]:
        """The replies of a tier, within the time they may take (sync)."""
        assert self._desk is not None
        key = key_of(ask)
        return self._replies.recall(key) or self._replies.keep(key, self._desk.ask(ask))

    async def aask(self, ask: Ask) -> tuple[Reply, ...]:
        """The replies of a tier, within the time they may take, off the event loop (async)."""
        assert self._desk is not None
        key = key_of(ask)
        return self._replies.recall(key) or self._replies.keep(key, await self._desk.aask(ask))

    def admit(self, claims: Claims) -> Admission:
        """What the shared limits say about a call (sync)."""
        assert self._sharing is not None
        return self._sharing.admit(claims)

    async def aadmit(self, claims: Claims) -> Admission:
        """What the shared limits say about a call (async)."""
        assert self._sharing is not None
        return await self._sharing.aadmit(claims)

    def early(self, exchange: Exchange) -> Callable[[], None] | None:
        """What must be done about findings before the answer is given out; it may wait, and never raises."""
        if self._aftermath is None:
            return None
        return self._aftermath.early(exchange.id, exchange.labels, exchange.found, exchange.decision)

    def deliver(self, exchange: Exchange, span: CallSpan | None) -> None:
        """Hand a finished call over to the worker, which makes its record."""
        if exchange.blocked:
            _remember(exchange.decision)
        if not worker.put(self.process, exchange, span):
            _drop(span)

    def record(self, exchange: Exchange, span: CallSpan | None) -> None:
        """Make the record of a finished call here and now, and hand it over to the worker. Raises what that raises."""
        if exchange.blocked:
            _remember(exchange.decision)
        if self._desk is not None:  # tiers are asked, and waited for
            self.later(span, self.process, exchange, span)
            return
        with _abandoned_on_error(span):
            record = exchange.record()
        self.later(span, self._follow, exchange, record, span)

    def later(self, span: CallSpan | None, job: Callable[..., None], *args: Any) -> None:
        """Do something about a call on the worker; its span is ended at once when the worker cannot take it."""
        if not worker.put(job, *args):
            _drop(span)

    # the worker's side

    def process(self, exchange: Exchange, span: CallSpan | None) -> None:
        """Make the record of a finished call and tell everybody; on the worker. Tiers may be asked before."""
        with _abandoned_on_error(span):
            if self._desk is not None and self._desk.later(exchange.afterthought(), self._resume, exchange, span):
                return
            record = exchange.record()
        self._follow(exchange, record, span)

    def _follow(self, exchange: Exchange, record: CallRecord, span: CallSpan | None) -> None:
        self._settle(exchange, record)
        if self._aftermath is None or not self._aftermath.after(record, partial(self._told, span)):
            self._deliver(record, span)

    def _told(self, span: CallSpan | None, record: CallRecord) -> None:
        """What followed a call is done: back to the worker."""
        self.later(span, self._deliver, record, span)

    def _deliver(self, record: CallRecord, span: CallSpan | None) -> None:
        if span is None:
            self.telemetry.deliver_unspanned(record)
        else:
            self.telemetry.deliver(record, span)
        for callback in _callbacks:
            try:
                callback(record)
            except Exception as error:  # noqa: BLE001 - the callback is the user's
                count_fault("on_record", error)

    def _settle(self, exchange: Exchange, record: CallRecord) -> None:
        """Put what the call really took in the place of what it had reserved."""
        reservation = exchange.reservation
        if reservation is None or self._sharing is None:
            return
        answered = record.upstream_called and record.status is not None and record.status < 400
        model = record.answer.model or record.prompt.model
        settlement = reservation.settlement(model, record.answer.usage, made=answered)
        if settlement is not None and reservation.admission is not None:
            self._sharing.settle((settlement,), alone=reservation.admission.degraded)

    def _resume(self, exchange: Exchange, span: CallSpan | None) -> None:
        """The tiers have spoken: back to the worker."""
        self.later(span, self.process, exchange, span)


_lock = threading.Lock()
_current: Runtime | None = None
_callbacks: tuple[Callable[[CallRecord], None], ...] = ()
_blocks: OrderedDict[str, Decision] = OrderedDict()
_exporters: list[Exporters] = []
_desks = belongings.desks


worker: Final = Worker(count_fault)


def _drain() -> None:
    """At exit the exporters end before the worker does, so they let it finish first."""
    _settle(EXIT_FLUSH_S)
    for followed in belongings.aftermaths():
        followed.let_go()
    worker.flush(EXIT_FLUSH_S)


def _settle(timeout_s: float) -> bool:
    """Let the worker finish, and the tiers, which give calls back to the worker."""
    deadline = time.monotonic() + timeout_s
    done = worker.flush(timeout_s)
    for desk in list(_desks):
        done = desk.flush(max(deadline - time.monotonic(), 0.0)) and done
        done = worker.flush(max(deadline - time.monotonic(), 0.0)) and done
    for followed in belongings.aftermaths():
        done = followed.flush(max(deadline - time.monotonic(), 0.0)) and done
        done = worker.flush(max(deadline - time.monotonic(), 0.0)) and done
    return done


atexit.register(_drain)


def current() -> Runtime:
    """The process's runtime; made from environment and defaults when nobody has called `configure`."""
    global _current
    runtime = _current
    if runtime is None:
        with _lock:
            runtime = _current
            if runtime is None:
                origin = Origin(None, {}, configuration.loaded(None, {}))
                runtime = _current = Runtime(origin.settings)
                attending.attend(origin)
    return runtime


def configure(config: str | os.PathLike[str] | Mapping[str, Any] | Settings | None = None, **settings: Any) -> Runtime:
    """Set the process up, or set it up anew; every instrumented client follows.

    `config` is a path to a YAML or TOML file, a mapping of the same shape, or `Settings`; keywords override it, e.g.
    `configure(enforcement={"mode": "block"})` or `configure(otlp=True)`. Raises `ConfigError` naming every problem. The
    file, given or named by `LLMTRACE_CONFIG`, is watched: its changes take effect without a call, under the keywords.

    With `relay="http://..."`, or a `state.url` without one, the policy that is announced there is followed as well: it
    lies over file and environment, and under the keywords. This does not wait for it: until it has come, and where none
    is announced, the process's own settings hold. Ready `Settings` stand alone: nothing lies over them.
    """
    global _current
    origin = Origin(config, settings, configuration.loaded(config, settings))
    attending.carry_on(origin)
    runtime = Runtime(origin.settings)
    with _lock:
        _current = runtime
        attending.attend(origin)
    return runtime


def _swap(origin: Origin, settings: Settings, *, at_once: bool = False) -> None:
    """Put changed settings in force, in one step for all calls that begin; those under way keep theirs.

    `at_once`: before all is compiled that streamed answers need; the first of them may have to wait for it.
    """
    global _current
    old = _current
    if old is None:
        return
    made = Runtime(settings, previous=old)
    if at_once:
        made.pipeline.engine.warm()
    else:
        made.warm()
    with _lock:
        superseded = attending.origin is not origin
        if not superseded:
            _current = made
            attending.follow(settings)
    gone = made if superseded else old
    if gone._desk is not None and old._desk is not made._desk:
        gone._desk.close(EXIT_FLUSH_S)
    made.warm()


attending: Final = Attending(_swap)


def on_record(callback: Callable[[CallRecord], None]) -> Callable[[], None]:
    """Call `callback` with the `CallRecord` of each call, on the worker thread; returns a function that removes it."""
    global _callbacks
    with _lock:
        _callbacks = (*_callbacks, callback)

    def remove() -> None:
        global _callbacks
        with _lock:
            _callbacks = tuple(c for c in _callbacks if c is not callback)

    return remove


def recent_block(decision_id: str) -> Decision | None:
    """The decision of a recent block of this process, by the value of its `x-llmtrace-blocked` header."""
    return _blocks.get(decision_id)


@contextmanager
def _abandoned_on_error(span: CallSpan | None) -> Iterator[None]:
    try:
        yield
    except Exception:
        if span is not None:
            span.abandon()
        raise


def _drop(span: CallSpan | None) -> None:
    """A record that will not come: counted under `queue`, logged once a minute; its span ends here."""
    count_fault("queue", queue.Full())
    if span is not None:
        span.abandon()


def _remember(decision: Decision) -> None:
    with _lock:
        _blocks[decision.id] = decision
        if len(_blocks) > BLOCKS_REMEMBERED:
            _blocks.popitem(last=False)


def flush(timeout_s: float = 5.0) -> bool:
    """Deliver what is queued; False when that takes longer than `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    done = _settle(timeout_s)
    for exporters in _exporters:
        done = exporters.flush(max(deadline - time.monotonic(), 0.0)) and done
    return done


def shutdown(timeout_s: float = 5.0) -> bool:
    """Deliver what is queued, stop the worker and the exporters that `configure` set up; a later call starts anew."""
    global _current
    with _lock:
        ended = attending.attend(None)
    if ended is not None:
        ended.join(timeout_s)
    done = flush(timeout_s)
    for desk in list(_desks):
        desk.close(timeout_s)
    for followed in belongings.aftermaths():
        followed.close(timeout_s if done else 0.0)
    worker.close(timeout_s)  # last: the others give calls back to it
    while _exporters:
        _exporters.pop().shutdown()
    with _lock:
        _current = None
    return done
