"""Spans that other programs report to the relay, over OTLP/HTTP."""

from __future__ import annotations

from llmtrace_relay.ingest.decoding import decode
from llmtrace_relay.ingest.endpoint import PATHS, Ingest
from llmtrace_relay.ingest.refusals import Refused
from llmtrace_relay.ingest.spans import Taken, spans_of

__all__ = ["PATHS", "Ingest", "Refused", "Taken", "decode", "spans_of"]
