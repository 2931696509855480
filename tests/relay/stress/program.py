"""An instrumented process that makes the calls it is told to, one line of JSON on standard input for each batch."""

from __future__ import annotations

import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

import llmtrace_sdk as llmtrace


def batch(client: httpx.Client, url: str, told: dict[str, Any]) -> dict[str, Any]:
    """Make `calls` calls with `threads` threads and `labels`; gives how they ended and the tokens that they took."""

    def one(_: int) -> tuple[int, int]:
        with llmtrace.context(**told.get("labels", {})):
            answer = client.post(f"{url}/v1/chat/completions", json=told["body"])
        usage = answer.json().get("usage") if answer.status_code == 200 else None
        return answer.status_code, (usage or {}).get("total_tokens", 0)

    with ThreadPoolExecutor(told.get("threads", 1)) as pool:
        done = list(pool.map(one, range(told["calls"])))
    return {"statuses": Counter(status for status, _ in done), "tokens": sum(tokens for _, tokens in done)}


def main(url: str, settings: str) -> None:
    """`settings` are keywords of `configure`, as JSON."""
    llmtrace.configure(**json.loads(settings))
    with httpx.Client(trust_env=False, timeout=30) as client:
        llmtrace.instrument(client)
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            print(json.dumps(batch(client, url, json.loads(line))), flush=True)
    llmtrace.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
