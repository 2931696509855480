"""A process that puts spans, until it is killed: `python -m tests.relay.store.putting DATABASE SPOOL NAME`.

It prints the number of each span once `put` has returned.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from llmtrace_relay.store.opening import open_store
from llmtrace_relay.store.writer import Writer
from llmtrace_sdk.config.relay import StorageOptions

from .making import span


def main(url: str, spool: str, name: str) -> None:
    remote = url.startswith("postgresql")
    options = StorageOptions(profile="production", postgres_url=url) if remote else StorageOptions(database_path=url)
    writer = Writer(open_store(options, must_answer=False), Path(spool), 1 << 30, lambda *_: None)
    number = 0
    while True:
        writer.put(span(span_id=f"{name}-{number}", trace_id=f"{name}-{number}", prompt="x" * (number * 37 % 5_000)))
        os.write(1, f"{number}\n".encode())
        number += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
