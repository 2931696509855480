"""One POST within a time budget, through an HTTP client of our own that nobody inspects or traces."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import context as context_api

from llmtrace_sdk import families
from llmtrace_sdk.tiers.adviser import NoOpinion

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

INSTALL: Final = 'the judge tier needs httpx or httpx2: pip install "llmtrace-sdk[judge]"'
LIMIT_BYTES: Final = 256 << 10


class Unreachable(Exception):
    """The connection failed, or broke."""


class Answer(NamedTuple):
    """A whole response; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """Sends JSON to one URL. Thread-safe, and made anew in a forked child. Follows no redirects."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        # what is not compressed cannot be a bomb
        self._headers = {**headers, "content-type": "application/json", "accept-encoding": "identity"}
        self._lock = threading.Lock()
        self._made: tuple[int, ModuleType, Any] | None = None

    def post(self, body: bytes, deadline: float) -> Answer:
        """The answer, by `deadline` (`time.monotonic()`) but for one more read. A status is no error.

        Raises `TimeoutError`, `Unreachable`, `NoOpinion` for an answer that is too big, and ImportError with what to
        install.
        """
        module, client = self._open()
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        token = context_api.attach(families.silent())
        try:
            with client.stream("POST", self._url, content=body, headers=self._headers, timeout=left) as response:
                return Answer(response.status_code, response.headers, _read(response, deadline))
        except module.TimeoutException:
            raise TimeoutError from None
        except (module.TransportError, module.StreamError):
            raise Unreachable from None
        finally:
            context_api.detach(token)

    def warm(self) -> None:
        """Import the library and read the certificates. Raises ImportError with what to install."""
        self._open()

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None and made[0] == os.getpid():
            made[2].close()

    def _open(self) -> tuple[ModuleType, Any]:
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                module = families.library(INSTALL)
                self._made = os.getpid(), module, families.own(module.Client())
            return self._made[1:]


def _read(response: Any, deadline: float) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise NoOpinion("encoded_answer")
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > LIMIT_BYTES:
            raise NoOpinion("long_answer")
        if time.monotonic() >= deadline:
            raise TimeoutError
    return bytes(body)
