"""Where announced policy is read: in the shared state, or at a relay over HTTP. Each is asked by one thread alone."""

from __future__ import annotations

import json
import math
import socket
import time
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from llmtrace_sdk.errors import StateUnavailable
from llmtrace_sdk.origin import Policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse

    from llmtrace_sdk.typing import State

TOPIC: Final = "policy"
PATH: Final = "/api/v1/policy"
KEY_HEADER: Final = "X-LLMTrace-Token"
TIMEOUT_S: Final = 2.0
SIZE_LIMIT: Final = 1 << 20
PIECE: Final = 1 << 16

_left_open: list[HTTPConnection] = []


class NotHeard(Exception):
    """Nobody answered, or said something that is no policy. The message has nothing of what was said."""


class Source(Protocol):
    """One place where policy is announced. It is asked as often as usual, and at least every `every_s` seconds."""

    every_s: float

    def ask(self) -> Policy | None:
        """What is announced; None where nothing is, or nothing else than before. Raises `NotHeard`."""

    def interrupt(self) -> None:
        """End a question that is under way, from another thread."""

    def close(self) -> None:
        """Release what it holds."""

    def forget(self) -> None:
        """What it holds is the parent's, of which this is a forked child."""


def policy_of(text: bytes, version: int | None = None) -> Policy:
    """The policy in a JSON object with `policy`, and with `version` where none is given. Raises `NotHeard`."""
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise NotHeard("it is not JSON") from None
    tree = told.get("policy") if isinstance(told, dict) else None
    number = told.get("version") if version is None and isinstance(told, dict) else version
    if not isinstance(tree, dict) or not isinstance(number, int) or isinstance(number, bool):
        raise NotHeard("it is not an object with a version and a policy")
    return Policy(number, tree)


class FromState:
    """Announcements in the state that processes share."""

    every_s: float = math.inf

    def __init__(self, state: State) -> None:
        self._state = state
        self._reason = ""

    def ask(self) -> Policy | None:
        """See `Source`."""
        try:
            found = self._state.latest(TOPIC)
        except StateUnavailable as error:
            if error.reason != "resting":  # that is no reason of its own
                self._reason = error.reason
            raise NotHeard(self._reason or error.reason) from None
        return None if found is None else policy_of(found.value, found.version)

    def interrupt(self) -> None:
        """Its questions have short time-outs."""

    def close(self) -> None:
        """The state is not ours alone."""

    def forget(self) -> None:
        """The state sees to itself."""


class FromRelay:
    """Announcements of a relay: `GET URL/api/v1/policy`, over one connection for as long as it lasts.

    The relay is asked directly, whatever proxies the environment names. Redirects are not followed, so that the key
    goes to nobody else.
    """

    every_s: float = math.inf

    def __init__(self, url: str, key: str | None) -> None:
        parts = urlsplit(url)
        kind, usual = (HTTPSConnection, 443) if parts.scheme == "https" else (HTTPConnection, 80)
        self._make: Callable[[], HTTPConnection] = partial(
            kind, parts.hostname or "", parts.port or usual, timeout=TIMEOUT_S
        )
        self._path = f"{parts.path.rstrip('/')}{PATH}"
        self._headers = {"Accept": "application/json", **({KEY_HEADER: key} if key else {})}
        self._tag: str | None = None
        self._connection: HTTPConnection | None = None
        self._asking = self._interrupted = False

    def ask(self) -> Policy | None:
        """See `Source`."""
        self._asking = True
        try:
            return self._asked()
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            late = isinstance(error, TimeoutError)
            raise NotHeard("no answer in time" if late else f"no answer ({type(error).__name__})") from None
        finally:
            self._asking = False

    def interrupt(self) -> None:
        """See `Source`."""
        self._interrupted = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """See `Source`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def forget(self) -> None:
        """See `Source`."""
        if self._asking and self._connection is not None:
            # the parent's thread was reading: closing would wait for a lock that nobody here will open
            _left_open.append(self._connection)
            self._connection = None
        self.close()

    def _asked(self) -> Policy | None:
        status, body, tag = self._exchange()
        if status == 304:
            return None
        if status != 200:
            raise NotHeard(f"HTTP {status}")
        policy = policy_of(body)
        self._tag = tag
        return policy

    def _exchange(self) -> tuple[int, bytes, str | None]:
        """Status, body and `ETag`; a connection that the relay has closed in between is replaced."""
        if self._connection is not None:
            try:
                return self._read(self._sent(self._connection))
            except (ConnectionError, HTTPException):
                self.close()
        self._connection = made = self._make()
        made.connect()
        if self._interrupted:  # by somebody who has found nothing to interrupt
            raise ConnectionAbortedError
        return self._read(self._sent(made))

    def _sent(self, connection: HTTPConnection) -> HTTPResponse:
        known = {"If-None-Match": self._tag} if self._tag else {}
        connection.request("GET", self._path, headers={**self._headers, **known})
        return connection.getresponse()

    def _read(self, response: HTTPResponse) -> tuple[int, bytes, str | None]:
        """All of an answer, in so much time and no more."""
        until, body = time.monotonic() + TIMEOUT_S, bytearray()
        while piece := response.read1(PIECE):
            body += piece
            if len(body) > SIZE_LIMIT or time.monotonic() > until:
                self.close()
                raise NotHeard("the answer is too large, or takes too long")
        response.close()  # read to its end, so that the connection is free for the next question
        return response.status, bytes(body), response.headers.get("ETag")
