"""`python -m llmtrace_relay`: the command `llmtrace relay`."""

from __future__ import annotations

import sys

from llmtrace_sdk.cli import main

sys.exit(main(["relay", *sys.argv[1:]]))
