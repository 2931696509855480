"""The way of a call through the relay, and what must be the same at its two ends."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import brotli
import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.fake_provider import FakeProvider
    from tests.relay.raw import Message
    from tests.relay.running import RunningRelay

    from .tap import Tap

OURS = ("x-llmtrace-", "x-ratelimit-")
HOP = ("connection", "transfer-encoding")


class Ways:
    """The fake provider, behind a tap, behind the relay, behind a tap."""

    def __init__(self, mode: str, provider: FakeProvider, relay: RunningRelay, before: Tap, behind: Tap) -> None:
        self.mode = mode
        self.provider = provider
        self.relay = relay
        self.before = before
        self.behind = behind

    @property
    def url(self) -> str:
        """Where clients are sent to."""
        return self.before.url

    def reset(self) -> None:
        """As the fake provider has it."""
        self.provider.reset()


def told(message: Message) -> list[tuple[str, str]]:
    """The header fields but ours, and but those of the hop."""
    fields = [(name.lower(), value) for name, value in message.fields]
    return [(name, value) for name, value in fields if not name.startswith(OURS) and name not in HOP]


def decoded(message: Message) -> list[bytes]:
    """The chunks without their coding."""
    decoders: dict[str, Callable[[bytes], bytes]] = {
        "gzip": zlib.decompressobj(wbits=31).decompress,
        "deflate": zlib.decompressobj().decompress,
        "br": brotli.Decompressor().process,
        "zstd": zstandard.ZstdDecompressor().decompressobj().decompress,
    }
    return list(filter(None, map(decoders[message.get("content-encoding") or ""], message.chunks)))


def check(mode: str, sent: Message, got: Message) -> None:
    """Where a stream may have to be stopped it goes on without its coding: an end could not be written into that."""
    fields, coding = told(sent), sent.get("content-encoding")
    if mode == "block" and sent.chunks and coding:
        fields.remove(("content-encoding", coding))
        assert got.chunks == decoded(sent)
    else:
        assert (got.body, got.chunks) == (sent.body, sent.chunks)
    assert status_of(got) == status_of(sent)
    assert told(got) == fields


def check_bytes(sent: Message, got: Message) -> None:
    """The bytes alone: what is no stream has no chunks that mean anything, and neither have pieces of one event."""
    assert got.body == sent.body
    assert status_of(got) == status_of(sent)
    assert set(told(sent)) - set(told(got)) <= {("content-length", str(len(sent.body)))}
    assert set(told(got)) <= set(told(sent))


def status_of(message: Message) -> str:
    return message.line.split(" ")[1]
