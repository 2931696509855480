"""What may stand in the labels of metrics: names from known sets, and a bounded number of others.

Callers choose some of them (the model, the tenant). Each new value is a new time series, here and in the database
behind: without a bound, anybody who may call could fill both.
"""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, get_args

from llmtrace_relay.keys import PREFIX
from llmtrace_sdk.core.masking import without_keys
from llmtrace_sdk.core.sentences import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmtrace_sdk.core.model import CallRecord

OTHER: Final = "other"
MODELS_LIMIT: Final = 200
TENANTS_LIMIT: Final = 200
CODES_LIMIT: Final = 128
ANOMALY: Final = "anomaly_"

CLIENT_WENT: Final = 499
"""What is told of a call whose client went away before there was an answer; no standard has it, web servers do."""

_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,95}")
# Statuses that vendors and gateways answer with, and no registry has.
_MORE_STATUSES: Final = {CLIENT_WENT, *range(520, 531)}
_STATUSES: Final = {int(status) for status in HTTPStatus} | _MORE_STATUSES
_TOO_MANY: Final = frozenset(
    {"rate_limit_exceeded", "concurrency_limit_exceeded", "cost_cap_exceeded", "state_unavailable"}
)
# Names of LLMTrace's proxy, which callers may ask for (x-llmtrace-provider).
_ASKED_FOR: Final = frozenset({"openai", "anthropic", "vllm", "sglang", "tgi", "ollama", "azure_openai", "bedrock"})


class Names:
    """The values of one label. At most `limit` others are let in beside the `known`; what comes later is `other`.

    `shaped` turns a value into the one that is shown. Safe from any thread.
    """

    __slots__ = ("_found", "_limit", "_lock", "_shaped")

    def __init__(self, limit: int, known: Iterable[str] = (), shaped: Callable[[str], str] = plain) -> None:
        self._found = {name: name for name in known}
        self._limit = limit + len(self._found)
        self._shaped = shaped
        self._lock = threading.Lock()

    def of(self, value: str, *, doubtful: bool = False) -> str:
        """The value of the label. Those that are `doubtful` may take only half of the places."""
        found = self._found.get(value)
        return found if found is not None else self._let_in(value, self._limit // 2 if doubtful else self._limit)

    def _let_in(self, value: str, limit: int) -> str:
        if len(self._found) >= limit:
            return OTHER
        shown = self._shaped(value)
        if shown != OTHER:
            with self._lock:
                if len(self._found) < limit:
                    return self._found.setdefault(value, shown)
        return OTHER


def model_shaped(name: str) -> str:
    """The name of a model, if it looks like one and not like a text or a key."""
    if not name:
        return "unknown"
    if _MODEL.fullmatch(name) is None or PREFIX in name or without_keys(name) != name:
        return OTHER
    return name


def status_told(record: CallRecord) -> int | None:
    """The HTTP status that the client was told, or `CLIENT_WENT`; None where nobody knows."""
    status = record.status
    if record.outcome == "blocked" and not (status is not None and record.streamed):
        return 429 if record.decision.reason in _TOO_MANY else 403
    if status is not None:
        return status
    return {"upstream_error": 502, "abandoned": CLIENT_WENT}.get(record.outcome)


def status_label(status: int | None) -> str:
    """A status as a label: `200`; `5xx` for one that nobody has heard of; `none`."""
    if status is None:
        return "none"
    if status in _STATUSES:
        return str(status)
    return f"{status // 100}xx" if 100 <= status < 600 else OTHER


@lru_cache(maxsize=1)
def known_providers() -> frozenset[str]:
    """Every vendor and wire format that there is a name for, and those that callers may ask for."""
    from llmtrace_sdk.providers import _hosts, available

    named = {*_hosts.DOMAINS.values(), *_hosts.OF_NO_FORMAT.values(), *(name for _, _, name in _hosts.REGIONAL)}
    return frozenset({*named, _hosts.AZURE_OPENAI, _hosts.DEFAULT, *(each.name for each in available()), *_ASKED_FOR})


@lru_cache(maxsize=1)
def known_findings() -> frozenset[str]:
    """Every finding type of the detectors there are, and of what looks at calls beside them."""
    from llmtrace_sdk import detectors
    from llmtrace_sdk.core import anomaly, credentials

    spikes = {f"{ANOMALY}{metric}_spike" for metric in get_args(anomaly.Metric)}
    return frozenset({*detectors.available(), "tool_input_pii", credentials.FINDING_TYPE, *spikes})
