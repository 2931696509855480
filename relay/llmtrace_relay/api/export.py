"""All calls that match, as one long answer that is written while it is read."""

import csv
import io
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from msgspec import structs
from pydantic import Field
from starlette.responses import StreamingResponse
from starlette.types import Send

from llmtrace_relay import wire
from llmtrace_relay.api._context import Here, Viewer
from llmtrace_relay.api._filters import Filter
from llmtrace_relay.api._reply import PRIVATE
from llmtrace_relay.model import Span

router = APIRouter(prefix="/api/v1/export", tags=["export"])

CHUNK_BYTES = 64 << 10
NDJSON = "application/x-ndjson"
CSV = "text/csv"
COLUMNS = tuple(name for name in Span.__struct_fields__ if name not in ("tags", "events", "agent_actions"))
"""Of the CSV form; `security_findings` are their types, each once."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Export(Filter):
    """Which calls, in which form."""

    format: Literal["ndjson", "csv"] = Field("ndjson", description="A JSON object in each line, or a table.")


class Stream(StreamingResponse):
    """Pieces of bytes as they come; the iterator is closed when the reader goes away, too."""

    def __init__(self, pieces: Generator[bytes, None, None], media_type: str, name: str) -> None:
        headers = PRIVATE | {"content-disposition": f'attachment; filename="{name}"'}
        super().__init__(pieces, headers=headers, media_type=media_type)
        self._pieces = pieces

    async def stream_response(self, send: Send) -> None:
        """See `StreamingResponse`."""
        with closing(self._pieces):
            await super().stream_response(send)


_ANSWER: dict[str, Any] = {
    "description": "The calls, the oldest first",
    "content": {
        NDJSON: {"schema": {"type": "string", "description": "A Span in each line"}},
        CSV: {"schema": {"type": "string"}},
    },
}


@router.get("", response_class=Stream, status_code=200, responses={200: _ANSWER})
def export(ask: Annotated[Export, Query()], who: Viewer, here: Here) -> Stream:
    """All calls that match, the oldest first. An answer that breaks off has no proper end: clients raise an error."""
    found = here.store.each(structs.replace(ask.query(who), order="oldest"))
    # the first is fetched before there is an answer, so that a database that is away is told as such
    spans = chain([first] if (first := next(found, None)) else [], found)
    if ask.format == "csv":
        return Stream(_pieces(found, _table(spans)), CSV, "llmtrace-spans.csv")
    return Stream(_pieces(found, _lines(spans)), NDJSON, "llmtrace-spans.ndjson")


def _lines(spans: Iterator[Span]) -> Iterator[bytes]:
    for span in spans:
        yield wire.encoded(wire.plain(span)) + b"\n"


def _table(spans: Iterator[Span]) -> Iterator[bytes]:
    text = io.StringIO(newline="")
    write = csv.writer(text)
    write.writerow(COLUMNS)
    for span in spans:
        yield _taken(text)
        write.writerow(_row(span))
    yield _taken(text)


def _row(span: Span) -> list[Any]:
    values = wire.plain(span)
    values["security_findings"] = " ".join(dict.fromkeys(found.finding_type for found in span.security_findings))
    return [_inert(values[name]) for name in COLUMNS]


def _inert(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets a quote before it; prompts are written by strangers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _taken(text: io.StringIO) -> bytes:
    value = text.getvalue()
    text.seek(0)
    text.truncate()
    return value.encode()


def _pieces(found: Iterator[Span], lines: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Lines put together to pieces worth sending."""
    held: list[bytes] = []
    size = 0
    try:
        for line in lines:
            held.append(line)
            size += len(line)
            if size >= CHUNK_BYTES:
                yield b"".join(held)
                held, size = [], 0
        if held:
            yield b"".join(held)
    finally:
        close = getattr(found, "close", None)
        if close is not None:
            close()
