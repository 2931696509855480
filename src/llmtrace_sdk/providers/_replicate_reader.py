"""Reading Replicate's predictions: the object, or the stream of its output as plain text events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmtrace_sdk.core.model import Delta, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._reading import EMPTY, ReaderState, mapping, require_mapping
from llmtrace_sdk.providers._shared import count, error_code, event_body, joined, short

if TYPE_CHECKING:
    from collections.abc import Iterable

_FAILED = frozenset({"failed", "canceled", "aborted"})
_OUTPUT = "/output"


class PredictionReader(ReaderState):
    """The answer of one call."""

    __slots__ = ()

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a prediction or a problem; raises `Unreadable` for anything else. A running one may have no output."""
        prediction = require_mapping(payload)
        self.done = True
        status = prediction.get("status")
        if isinstance(status, int) or "detail" in prediction:
            self.error_type = error_code(status)
            return EMPTY
        if not isinstance(status, str):
            raise Unreadable("unknown_shape")
        self.model = short(prediction.get("model")) or short(prediction.get("version"))
        self.response_id = short(prediction.get("id"))
        self.finish_reasons = [status[:64]] if status == "succeeded" or status in _FAILED else []
        self.error_type = status if status in _FAILED else None
        self._count(mapping(prediction.get("metrics")))
        return _read_output(prediction.get("output"))

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:
        """Read one event: its name says what it is, `output` is the bare text."""
        if name == "output":
            return (Delta(data.decode("utf-8", "replace"), "text", 0, 0, _OUTPUT),) if data else EMPTY
        if name == "done":
            self.done = True
            reason = short(event_body(data).get("reason"))
            self.finish_reasons = [reason or "succeeded"]
            if reason == "error":
                self.error_type = self.error_type or "failed"
        elif name == "error":
            self.error_type = "failed"
        return EMPTY

    def _count(self, metrics: dict[str, Any]) -> None:
        self.usage = Usage(count(metrics.get("input_token_count")), count(metrics.get("output_token_count")))


def _read_output(output: Any) -> list[Delta]:
    """A text, the list of the pieces of one, or an object."""
    if isinstance(output, list) and all(isinstance(piece, str) for piece in output):
        return [Delta(piece, "text", 0, 0, _OUTPUT) for piece in output if piece]
    said = joined(output)
    return [Delta(said, "text", 0, 0, _OUTPUT)] if said else []
