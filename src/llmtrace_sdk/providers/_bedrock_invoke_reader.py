"""Reading the answers of InvokeModel, whole or streamed: those of the model's own vendor, told by their members.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct, field

from llmtrace_sdk.core.model import Delta, Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers._anthropic_reader import MessagesReader
from llmtrace_sdk.providers._bedrock_completion_reader import CompletionReader
from llmtrace_sdk.providers._bedrock_converse_reader import ConverseReader, read_error
from llmtrace_sdk.providers._cohere_reader_v1 import ChatReaderV1
from llmtrace_sdk.providers._openai_choices import ChoicesReader
from llmtrace_sdk.providers._reading import EMPTY, ReaderState, mapping, require_mapping
from llmtrace_sdk.providers._shared import count, error_code, event_body, total

if TYPE_CHECKING:
    from collections.abc import Iterable

_METRICS: Final = "amazon-bedrock-invocationMetrics"


class _Chunk(Struct):
    """What an event of the stream carries; the decoder undoes the base64."""

    data: bytes = field(name="bytes")


_DECODE = msgspec.json.Decoder(_Chunk).decode
_Vendor = MessagesReader | ConverseReader | ChoicesReader | ChatReaderV1 | CompletionReader
_VENDORS: tuple[tuple[frozenset[str], type[_Vendor]], ...] = (
    (frozenset({"choices"}), ChoicesReader),
    (frozenset({"messageStart", "contentBlockStart", "contentBlockDelta", "output"}), ConverseReader),
    (frozenset({"event_type", "generation_id", "chat_history"}), ChatReaderV1),
    (CompletionReader.MARKS, CompletionReader),
    (frozenset({"type", "stop_reason"}), MessagesReader),
)
"""Members that tell whose answer it is; the first that fits decides."""


class InvokeReader(ReaderState):
    """The answer of one call; hands everything on to the reader of the vendor, once the vendor is known."""

    __slots__ = ("_vendor",)

    def __init__(self) -> None:
        super().__init__()
        self._vendor: _Vendor | None = None

    def body(self, payload: Any, /) -> Iterable[Delta]:
        """Read a whole answer or an error; raises `Unreadable` for anything else."""
        answer = require_mapping(payload)
        self.done = True
        vendor = _vendor_of(answer)
        if vendor is None:
            self.error_type = read_error(answer)
            return EMPTY
        found = vendor.body(answer)
        self._take_over(vendor)
        return found

    def event(self, name: str, data: bytes, /) -> Iterable[Delta]:
        """Read one event: `{"bytes": "<base64 of the vendor's event>"}`, or the vendor's event itself."""
        if name.endswith("Exception"):
            self.error_type = error_code(name)
            return EMPTY
        try:
            inner = _DECODE(data).data
        except (ValueError, RecursionError):
            inner = data
        if self._vendor is None:
            self._vendor = _vendor_of(event_body(inner))
        if self._vendor is None:
            raise Unreadable("unknown_shape")
        found = self._vendor.event("", inner)
        self._take_over(self._vendor)
        if _METRICS.encode() in inner:
            self._count(mapping(event_body(inner).get(_METRICS)))
        return found

    def _take_over(self, vendor: _Vendor) -> None:
        self.model = vendor.model
        self.response_id = vendor.response_id
        self.finish_reasons = list(vendor.finish_reasons)
        self.usage = vendor.usage
        self.done = self.done or vendor.done
        self.error_type = vendor.error_type
        self.service_tier = vendor.service_tier

    def _count(self, metrics: dict[str, Any]) -> None:
        """Bedrock's own counts, in the last event; the vendor's win."""
        self.done = True
        if self.usage != Usage():
            return
        read, written = count(metrics.get("cacheReadInputTokenCount")), count(metrics.get("cacheWriteInputTokenCount"))
        taken = total(count(metrics.get("inputTokenCount")), read, written)
        self.usage = Usage(taken, count(metrics.get("outputTokenCount")), read, written)


def _vendor_of(answer: dict[str, Any]) -> _Vendor | None:
    members = answer.keys()
    return next((reader() for marks, reader in _VENDORS if not marks.isdisjoint(members)), None)
