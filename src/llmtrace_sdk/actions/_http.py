"""Delivers JSON to one URL: signed, with a bounded number of tries in a bounded time, and without trust in who answers.

Redirects are never followed, bodies of answers are never read, and an attempt is over when its time is, even where the
server sends one byte now and then or a name is looked up for ever: it goes on in a thread that nobody waits for.
"""

from __future__ import annotations

import hmac
import math
import os
import random
import socket
import ssl
import threading
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import context as context_api

from llmtrace_sdk import families

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

SIGNATURE: Final = "x-llmtrace-signature"
DELIVERY: Final = "x-llmtrace-delivery"
TOTAL_S: Final = 30.0
"""All attempts and the pauses between them."""

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 8.0
FAILURES: Final = 3
REST_S: Final = 30.0
"""After so many deliveries in a row that failed, a URL is left alone so long: others are waiting for theirs."""

STUCK_LIMIT: Final = 4
"""Attempts that may go on after their time; while there are so many, no other is begun."""

INSTALL: Final = "neither httpx nor httpx2 is installed; pip install httpx"
_TRANSIENT: Final = frozenset({408, 425, 429})
_random = random.Random()  # noqa: S311 - spreads retries, keeps no secret
os.register_at_fork(after_in_child=_random.seed)


class Delivered(NamedTuple):
    """How a delivery ended. `detail` is `http_<status>`, or why there was no answer."""

    ok: bool
    attempts: int
    detail: str


class Clock(NamedTuple):
    """What a delivery needs of time and chance; `share` gives a number from 0 to 1."""

    now_s: Callable[[], float] = time.time
    tick_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    share: Callable[[], float] = _random.random


class _Answer(NamedTuple):
    detail: str
    again: bool = False
    ok: bool = False
    wait_s: float = 0.0


class Delivery:
    """Posts to `url`. To be used by one thread at a time; works in a forked child.

    `timeout_s` is the time of one attempt, `attempts` how many there may be, `key` what is signed with (b"": nothing).
    """

    def __init__(
        self, url: str, *, timeout_s: float = 5.0, attempts: int = 3, key: bytes = b"", clock: Clock | None = None
    ) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._key = key
        self._clock = clock or Clock()
        self._made: tuple[int, ModuleType, Any] | None = None
        self._stuck: list[threading.Thread] = []
        self._failures = 0
        self._rests_until = -math.inf

    def warm(self) -> None:
        """Import the HTTP library and read the certificates. Raises ImportError with what to install."""
        self._open()

    def close(self) -> None:
        """Close what is open; a later delivery opens it anew."""
        made, self._made = self._made, None
        if made is not None and made[0] == os.getpid():
            made[2].close()

    def send(self, body: bytes, delivery_id: str) -> Delivered:
        """Deliver a JSON body; never raises. A receiver can tell repetitions by the id (`x-llmtrace-delivery`)."""
        now = self._clock.tick_s()
        if now < self._rests_until:
            return Delivered(ok=False, attempts=0, detail="resting")
        sent = self._send(body, delivery_id, now + TOTAL_S)
        self._failures = 0 if sent.ok else self._failures + 1
        if self._failures >= FAILURES:
            self._rests_until = self._clock.tick_s() + REST_S
        return sent

    def _send(self, body: bytes, delivery_id: str, deadline: float) -> Delivered:
        tick_s = self._clock.tick_s
        tries = 0
        while True:
            answer = self._attempt(body, delivery_id, min(self._timeout_s, deadline - tick_s()))
            tries += 1
            if answer.ok or not answer.again or tries >= self._attempts:
                return Delivered(answer.ok, tries, answer.detail)
            pause_s = self._pause(tries, answer.wait_s)
            if tick_s() + pause_s >= deadline:  # to come back sooner than asked would not help
                return Delivered(ok=False, attempts=tries, detail=answer.detail)
            self._clock.sleep(pause_s)

    def _pause(self, tries: int, asked_s: float) -> float:
        """Twice as long each time, a random half of it; but as long as the server asked for."""
        whole = min(FIRST_PAUSE_S * 2 ** (tries - 1), LONGEST_PAUSE_S)
        spread: float = whole * (1 + self._clock.share()) / 2
        return max(spread, asked_s)

    def _attempt(self, body: bytes, delivery_id: str, timeout_s: float) -> _Answer:
        """One try, in a thread of its own: not all that may hang (looking up a name, say) has a time-out."""
        self._stuck = [thread for thread in self._stuck if thread.is_alive()]
        if len(self._stuck) >= STUCK_LIMIT:
            return _Answer("stuck")
        headers = self._headers(body, delivery_id)
        one = _Attempt(self._open, self._url, body, headers, timeout_s, self._clock.now_s)
        thread = threading.Thread(target=one.run, name="llmtrace-delivery", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down, or has no threads left
            return _Answer("no_thread")
        if one.over.wait(timeout_s):
            return one.answer
        one.abandon()
        self._stuck.append(thread)
        return _Answer("timeout", again=True)

    def _headers(self, body: bytes, delivery_id: str) -> dict[str, str]:
        headers = {"content-type": "application/json", "accept-encoding": "identity", DELIVERY: delivery_id}
        headers["user-agent"] = "llmtrace"
        if self._key:
            headers[SIGNATURE] = signature(self._key, int(self._clock.now_s()), body)
        return headers

    def _open(self) -> tuple[ModuleType, Any]:
        made = self._made
        if made is None or made[0] != os.getpid():
            module = families.library(INSTALL)
            # a connection that is kept may be dead by the next call, and an unread answer cannot be kept anyway
            client = module.Client(limits=module.Limits(max_keepalive_connections=0), follow_redirects=False)
            made = self._made = os.getpid(), module, families.own(client)
        return made[1:]


class _Attempt:
    """One POST. `answer` is there when `over` is set."""

    def __init__(
        self,
        opened: Callable[[], tuple[ModuleType, Any]],
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        timeout_s: float,
        now_s: Callable[[], float],
    ) -> None:
        self._opened = opened
        self._request = url, body, headers
        self._timeout_s = timeout_s
        self._now_s = now_s
        self._stream: Any = None
        self.answer = _Answer("fault")
        self.over = threading.Event()

    def run(self) -> None:
        token = context_api.attach(families.silent())
        try:
            self.answer = self._post()
        except Exception as error:  # noqa: BLE001 - the libraries have faults of their own; this is the guard
            self.answer = _failure(error)
        finally:
            context_api.detach(token)
            self.over.set()

    def abandon(self) -> None:
        """End the connection, if there is one; whoever reads from it reads its end."""
        with suppress(Exception):
            found = self._stream.get_extra_info("socket")
            socket.socket.shutdown(found, socket.SHUT_RDWR)

    def _post(self) -> _Answer:
        _, client = self._opened()
        url, body, headers = self._request
        seen = {"trace": self._see}
        with client.stream(
            "POST", url, content=body, headers=headers, timeout=self._timeout_s, extensions=seen
        ) as response:
            return _meaning(response.status_code, response.headers, self._now_s)

    def _see(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):  # TLS takes the socket over
            self._stream = info.get("return_value")


def signature(key: bytes, at: int, body: bytes) -> str:
    """The value of `x-llmtrace-signature`: `t=<Unix seconds>,v1=<HMAC-SHA256 over "<t>." and the body, in hex>`."""
    return f"t={at},v1={hmac.digest(key, f'{at}.'.encode() + body, 'sha256').hex()}"


def _meaning(status: int, headers: Mapping[str, str], now_s: Callable[[], float]) -> _Answer:
    if 200 <= status < 300:
        return _Answer(f"http_{status}", ok=True)
    if 300 <= status < 400:
        return _Answer("redirected")
    again = status >= 500 or status in _TRANSIENT
    return _Answer(f"http_{status}", again=again, wait_s=_retry_after(headers, now_s) if again else 0.0)


def _failure(error: BaseException) -> _Answer:
    """What went wrong, by the names that both libraries have for it; causes are looked at for faults of TLS."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, ImportError):
        return _Answer("no_http_library")
    if "TimeoutException" in kinds:
        return _Answer("timeout", again=True)
    if _is_about_tls(error):
        return _Answer("tls")
    if "TransportError" in kinds:
        return _Answer("connection", again="UnsupportedProtocol" not in kinds)
    return _Answer("fault")


def _is_about_tls(error: BaseException | None) -> bool:
    """Whether a certificate or the protocol is at fault, and not the connection, which may be better next time."""
    for _ in range(8):
        if isinstance(error, ssl.SSLError):
            return not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        if error is None:
            break
        error = error.__cause__ or error.__context__
    return False


def _retry_after(headers: Mapping[str, str], now_s: Callable[[], float]) -> float:
    """Seconds that the server wants to be left alone (RFC 9110 section 10.2.3); 0 where it does not say."""
    told = headers.get("retry-after", "").strip()
    if len(told) > 40:
        return 0.0
    if told.isdecimal() and told.isascii():
        return float(told)
    try:
        return max(parsedate_to_datetime(told).timestamp() - now_s(), 0.0)
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0
