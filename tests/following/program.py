"""A process of its own that makes calls and says when what becomes of them changes; ends with its standard input."""

from __future__ import annotations

import json
import sys
import threading
import time

import httpx

import llmtrace_sdk as llmtrace
from tests.keys.bench import ATTACK, Echo
from tests.transport.wire import URL, client

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": ATTACK}]}


def main(settings: str) -> None:
    """`settings` are keywords of `configure`, as JSON. Prints seconds since 1970 and the status that begins then."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    llmtrace.configure(**json.loads(settings))
    before = None
    with client(httpx, "sync", Echo("fine")) as http:
        while not ended.wait(0.005):
            status = http.post(URL, json=BODY).status_code
            if status != before:
                print(time.time(), status, flush=True)
            before = status
    llmtrace.shutdown()
    print("threads", [each.name for each in threading.enumerate() if each.name == "llmtrace-policy"], flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
