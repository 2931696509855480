"""Blocks the session (`context(session=...)`) that offends again and again."""

from __future__ import annotations

from llmtrace_sdk.actions._block import builder

build = builder("session")
