"""What one server remembers: request counters, the last request, the latest predictions; all bounded."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .http1 import Request

MAX_PATHS: Final = 256
MAX_PREDICTIONS: Final = 256


class State:
    """Counters of one server. It keeps the last request whole (its hash is taken only when asked for)."""

    def __init__(self) -> None:
        self.open_connections = 0
        self.predictions: OrderedDict[str, Any] = OrderedDict()
        self.serial = 0
        self.reset()

    def reset(self) -> None:
        """Sets every counter to zero and forgets the last request."""
        self.requests = 0
        self.completed = 0
        self.aborted = 0
        self.by_path: dict[str, int] = {}
        self.last: Request | None = None

    def count(self, request: Request) -> None:
        """Counts one request; paths beyond the first 256 different ones are counted together as `other`."""
        self.requests += 1
        self.serial += 1
        self.last = request
        path = request.path
        if path not in self.by_path and len(self.by_path) >= MAX_PATHS:
            path = "other"
        self.by_path[path] = self.by_path.get(path, 0) + 1

    def keep_prediction(self, name: str, prediction: Any) -> None:
        """Remembers a prediction until 256 newer ones have come."""
        self.predictions[name] = prediction
        if len(self.predictions) > MAX_PREDICTIONS:
            self.predictions.popitem(last=False)

    def stats(self) -> dict[str, Any]:
        """The counters; `cpu_s` is the processor time of the whole process.

        `open_connections` includes the one that asks. The last request's headers are shown as they came, keys
        and all: this server is for made-up keys.
        """
        return {
            "requests": self.requests,
            "by_path": self.by_path,
            "open_connections": self.open_connections,
            "completed": self.completed,
            "aborted": self.aborted,
            "cpu_s": time.process_time(),
            "last": _summary(self.last),
        }


def _summary(request: Request | None) -> dict[str, Any] | None:
    if request is None:
        return None
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": request.headers,
        "body_bytes": len(request.body),
        "body_sha256": hashlib.sha256(request.body).hexdigest(),
    }
