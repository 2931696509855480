"""HTTP/1.1 requests in and response heads out, as bytes (RFC 9112). No sockets here."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

MAX_HEAD: Final = 64 * 1024
MAX_BODY: Final = 64 * 1024 * 1024
_MAX_CHUNK_LINE: Final = 1024
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


class BadRequest(Exception):
    """The peer's bytes are no request that this server takes; `status` says how to answer before closing."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Request:
    """One request: header names in lower case, the path percent-decoded, the query as sent."""

    __slots__ = ("body", "headers", "keep_alive", "method", "path", "query", "takes_chunks")

    def __init__(self, method: str, target: str, version: str, headers: dict[str, str]) -> None:
        path, _, self.query = target.partition("?")
        self.method = method
        self.path = unquote(path) if "%" in path else path
        self.headers = headers
        self.body = b""
        self.takes_chunks = version != "HTTP/1.0"
        connection = headers.get("connection", "").lower()
        self.keep_alive = connection == "keep-alive" or (self.takes_chunks and connection != "close")


class RequestParser:
    """Takes bytes at any split and gives whole requests."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._request: Request | None = None
        self._length = 0
        self._chunked = False
        self._chunk_left = -1
        self._decoded = bytearray()

    @property
    def buffered(self) -> int:
        """Bytes received and not yet given as a request."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Adds received bytes."""
        self._buffer += data

    def next_request(self) -> Request | None:
        """The next complete request, or None while more bytes are needed. Raises BadRequest."""
        if self._request is None and not self._read_head():
            return None
        complete = self._read_chunks() if self._chunked else self._read_length()
        if not complete:
            return None
        request, self._request = self._request, None
        return request

    def expects_continue(self) -> bool:
        """Whether the peer waits for `100 Continue` (RFC 9110 section 10.1.1); true at most once for a request."""
        if self._request is None:
            return False
        expected = self._request.headers.pop("expect", "").lower() == "100-continue"
        return expected and not self._buffer

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD:
            if len(self._buffer) > MAX_HEAD:
                raise BadRequest(431, "the request head is too large")
            return False
        head = self._buffer[:end].decode("latin-1")
        del self._buffer[: end + 4]
        self._request = _parse_head(head)
        self._frame_body(self._request.headers)
        return True

    def _frame_body(self, headers: dict[str, str]) -> None:
        coding = headers.get("transfer-encoding", "").lower()
        length = headers.get("content-length", "0" if not coding else "")
        if coding:
            if coding != "chunked" or length:
                raise BadRequest(400, "the request body's framing is not understood")
            self._chunked, self._chunk_left, self._decoded = True, -1, bytearray()
            return
        if not (length.isascii() and length.isdigit()):
            raise BadRequest(400, "content-length is no number")
        if len(length) > 12 or int(length) > MAX_BODY:
            raise BadRequest(413, "the request body is too large")
        self._chunked, self._length = False, int(length)

    def _read_length(self) -> bool:
        if len(self._buffer) < self._length:
            return False
        assert self._request is not None
        self._request.body = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        return True

    def _read_chunks(self) -> bool:
        while self._chunk_left != 0:
            if self._chunk_left < 0 and not self._read_chunk_size():
                return False
            if self._chunk_left > 0 and not self._take_chunk():
                return False
        return self._read_trailers()

    def _read_chunk_size(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0 or end > _MAX_CHUNK_LINE:
            if len(self._buffer) > _MAX_CHUNK_LINE:
                raise BadRequest(400, "a chunk size line is too long")
            return False
        digits = bytes(self._buffer[:end]).partition(b";")[0].strip()
        if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
            raise BadRequest(400, "a chunk size is no number")
        self._chunk_left = int(digits, 16)
        if len(self._decoded) + self._chunk_left > MAX_BODY:
            raise BadRequest(413, "the request body is too large")
        del self._buffer[: end + 2]
        return True

    def _take_chunk(self) -> bool:
        if len(self._buffer) < self._chunk_left + 2:
            return False
        if self._buffer[self._chunk_left : self._chunk_left + 2] != b"\r\n":
            raise BadRequest(400, "a chunk does not end where its size says")
        self._decoded += self._buffer[: self._chunk_left]
        del self._buffer[: self._chunk_left + 2]
        self._chunk_left = -1
        return True

    def _read_trailers(self) -> bool:
        while (end := self._buffer.find(b"\r\n")) > 0:
            del self._buffer[: end + 2]
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise BadRequest(431, "the trailers are too large")
            return False
        del self._buffer[:2]
        assert self._request is not None
        self._request.body, self._decoded, self._chunked = bytes(self._decoded), bytearray(), False
        self._length = 0
        return True


def _parse_head(head: str) -> Request:
    first, _, rest = head.lstrip("\r\n").partition("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(400, "the request line is not HTTP/1.x")
    return Request(parts[0], _origin_form(parts[1]), parts[2], _parse_headers(rest).copy())


@lru_cache(maxsize=64)
def _parse_headers(lines: str) -> dict[str, str]:
    """Cached, because a client sends the same lines with every call; the result must not be changed."""
    headers: dict[str, str] = {}
    for line in lines.split("\r\n") if lines else ():
        name, colon, value = line.partition(":")
        if not colon or not name or name[-1] in " \t":
            raise BadRequest(400, "a header line has no name")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _origin_form(target: str) -> str:
    """Drops scheme and authority, sent by a client that takes this server for its proxy (RFC 9112 3.2.2)."""
    if target.startswith("http://"):
        return "/" + target[len("http://") :].partition("/")[2]
    if target.startswith("/"):
        return target
    raise BadRequest(400, "the request target is neither a path nor a URL")


def response_head(status: int, media: str, framing: str, headers: str = "") -> bytes:
    """A response head. `framing` is the content-length or transfer-encoding line, or empty to end by closing;
    it and `headers` hold complete lines, each ended by CRLF.
    """
    reason = _REASONS.get(status, "Unknown")
    return f"HTTP/1.1 {status} {reason}\r\ncontent-type: {media}\r\n{framing}{headers}\r\n".encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked transfer coding. `data` must not be empty: that would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
