"""Blocks the address of a client of the relay that offends again and again; a call of this process has none."""

from __future__ import annotations

from llmtrace_sdk.actions._block import builder

build = builder("ip")
