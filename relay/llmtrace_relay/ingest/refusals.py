"""Why a request is answered with an error."""

from __future__ import annotations


class Refused(Exception):
    """A request that is not taken. `status` is HTTP's; the message says what to do, and quotes nothing of the body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def malformed(what: str) -> Refused:
    """A body that is not what its content type says."""
    return Refused(400, f"the body is no OTLP trace request: {what}")


def busy() -> Refused:
    """There is no room; the client is to come again."""
    return Refused(503, "the relay can take no more spans now; send them again later")
