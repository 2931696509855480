"""Alerts people to findings, refused calls and spent budgets, over each channel that wants to know."""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from llmtrace_sdk.actions import _no_warnings
from llmtrace_sdk.actions._body import encoded, time_of
from llmtrace_sdk.actions._http import Delivery
from llmtrace_sdk.core.alert_payloads import payload
from llmtrace_sdk.core.alerting import channel_names, cooldown_key, for_channel, occasions, silencing_keys
from llmtrace_sdk.core.model import ActionStatus
from llmtrace_sdk.core.routing import BlockKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmtrace_sdk.actions import Cooldowns, Parts
    from llmtrace_sdk.core.alerting import AlertOptions, Channel, Occasion
    from llmtrace_sdk.core.model import ActionState as State
    from llmtrace_sdk.core.model import CallRecord

COOLDOWNS_LIMIT: Final = 4_096


class Remembered:
    """The cooldowns of one process; with too many, the oldest are forgotten, so that people hear once too often."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, limit: int = COOLDOWNS_LIMIT) -> None:
        self._clock = clock
        self._limit = limit
        self._until: OrderedDict[str, float] = OrderedDict()

    def block(self, key: str, ttl_s: float) -> None:
        """Let a key cool down for so many seconds from now on."""
        self._until[key] = self._clock() + ttl_s
        self._until.move_to_end(key)
        if len(self._until) > self._limit:
            self._until.popitem(last=False)

    def blocked(self, keys: Sequence[str]) -> list[str]:
        """Those of the keys that are still cooling down."""
        now = self._clock()
        return [key for key in keys if self._until.get(key, now) > now]


class _Line(NamedTuple):
    name: str
    channel: Channel
    delivery: Delivery


class _Told(NamedTuple):
    code: str
    attempts: int = 0
    ok: bool | None = None


class Alert:
    """The action `alert`. To be used by one thread at a time.

    Several processes with one state share its cooldowns; two that have the same to tell at the same moment tell it
    twice, because a cooldown begins only when something has been told.
    """

    name = "alert"

    def __init__(
        self,
        options: AlertOptions,
        *,
        cooldowns: Cooldowns | None = None,
        keys: BlockKeys | None = None,
        warnings: Callable[[CallRecord], tuple[str, ...]] = _no_warnings,
        deliver: Callable[[str], Delivery] = Delivery,
    ) -> None:
        channels = options.effective()
        self._lines = [
            _Line(name, channel, deliver(channel.address))
            for name, channel in zip(channel_names(channels), channels, strict=True)
        ]
        self._cooldown_s = float(options.cooldown_seconds)
        self._cooldowns = cooldowns or Remembered()
        self._keys = keys or BlockKeys(b"")
        self._warnings = warnings

    def concerns(self, record: CallRecord) -> bool:
        """Whether there is anything to tell about a call, before any threshold."""
        return bool(occasions(record, self._warnings(record)))

    def run(self, record: CallRecord, _source: str | None) -> ActionStatus:
        """Tell every channel; the detail has a code for each that something was to be told."""
        told: list[tuple[str, _Told]] = []
        for occasion in occasions(record, self._warnings(record)):
            for line in self._lines:
                wanted = for_channel(line.channel, occasion)
                if wanted is not None:
                    told.append((line.name, self._tell(line, wanted, record)))
        return _status(self.name, told)

    def warm(self) -> None:
        """Load now what the first delivery would have to wait for."""
        for line in self._lines:
            line.delivery.warm()

    def close(self) -> None:
        """Close the connections."""
        for line in self._lines:
            line.delivery.close()

    def _tell(self, line: _Line, occasion: Occasion, record: CallRecord) -> _Told:
        tenant = record.labels.tenant
        if self._cooldown_s and self._cooling(tenant, silencing_keys(line.name, occasion)):
            return _Told("cooldown")
        body = encoded(payload(line.channel, occasion, record, time_of(record)))
        sent = line.delivery.send(body, f"{record.id}-{occasion.kind}")
        if sent.ok and self._cooldown_s:
            self._start(tenant, cooldown_key(line.name, occasion, occasion.severity))
        return _Told(sent.detail, sent.attempts, sent.ok)

    def _cooling(self, tenant: str | None, keys: tuple[str, ...]) -> bool:
        try:
            return bool(self._cooldowns.blocked([self._keys.cooldown(tenant, key) for key in keys]))
        except Exception:  # noqa: BLE001 - a store may fail in any way; better to tell twice than not at all
            return False

    def _start(self, tenant: str | None, key: str) -> None:
        with suppress(Exception):  # as above
            self._cooldowns.block(self._keys.cooldown(tenant, key), self._cooldown_s)


def _status(name: str, told: list[tuple[str, _Told]]) -> ActionStatus:
    results = [each.ok for _, each in told]
    state: State = "error" if False in results else "success" if True in results else "skipped"
    detail = ",".join(f"{channel}:{each.code}" for channel, each in told) or "below_threshold"
    return ActionStatus(name, state, sum(each.attempts for _, each in told), detail)


def build(parts: Parts) -> Alert:
    """The action."""
    return Alert(parts.alerts, cooldowns=parts.state, keys=parts.keys, warnings=parts.warnings)
