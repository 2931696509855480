"""What a request may ask of the fake provider beyond its own wire format.

A scenario is a comma list of `key` or `key=value`, taken from the model name after `+`
(`gpt-4o-mini+secret,chunks=20`), the query `?fake=...` and the header `x-fake-scenario`. All three are
read in that order and a later key wins.

| key | effect |
|---|---|
| `plain` `secret` `pii` `echo` | text: neutral, a made-up key and token, personal data, the last user text |
| `say=B` | text: what B is the base64url of, without padding |
| `tool` | a tool call instead of the text, or beside it when a text key is named |
| `reasoning` `refusal` | reasoning before the rest; a refusal instead of the text |
| `parts` | OpenAI chat content as a list of typed parts, as Mistral sends it |
| `chunks=N` `n=N` | number of text deltas; number of choices |
| `delay=MS` `first=MS` | pause between events; pause before the response head |
| `status=N` | an error (400..599) in the vendor's own shape |
| `cut=N` `cut-head` | the socket closes after N body bytes; inside the response head |
| `gzip` `deflate` `br` `zstd` `identity` | content-encoding, flushed at every event |
| `split=N` | body bytes regrouped into writes and chunks of N bytes |
| `crlf` `comments` `no-done` | SSE line ends; SSE comments and multi-line data; the last event is left out |
| `type=M` | content-type M, whatever the body is |
| `bad-json` `bad-utf8` `deep[=N]` | broken JSON; broken UTF-8 inside the text; JSON nested N deep (10000) |
| `huge=N` `bomb=MB` `endless-line` | text of N bytes; MB of padding behind gzip; a line that never ends |
| `usage=off` `usage=on` | no token counts; token counts in a stream even when not asked for |
| `sse` | MCP answers as an event stream |
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

TEXTS: Final = ("plain", "secret", "pii", "echo")
ENCODINGS: Final = ("gzip", "deflate", "br", "zstd", "identity")
DEFAULT_DEPTH: Final = 10_000
MAX_PAUSE_MS: Final = 60_000.0


class UnknownScenario(ValueError):
    """The scenario text names a key or a value that does not exist; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One parsed scenario; the default asks for nothing. Pauses are in seconds, sizes in bytes."""

    text: str = ""
    say: str = ""
    tool: bool = False
    reasoning: bool = False
    refusal: bool = False
    parts: bool = False
    sse: bool = False
    chunks: int = 0
    n: int = 0
    delay_s: float = 0.0
    first_s: float = 0.0
    status: int = 0
    cut: int = -1
    cut_head: bool = False
    encoding: str = ""
    split: int = 0
    crlf: bool = False
    comments: bool = False
    no_done: bool = False
    media: str = ""
    bad_json: bool = False
    bad_utf8: bool = False
    deep: int = 0
    huge: int = 0
    bomb_mb: int = 0
    endless_line: bool = False
    usage: str = ""


PLAIN: Final = Scenario()

_FLAGS: Final = {
    "tool", "reasoning", "refusal", "parts", "sse", "cut-head", "crlf", "comments",
    "no-done", "bad-json", "bad-utf8", "endless-line",
}  # fmt: skip
_Setting = tuple[str, Any]


def _whole(field: str, low: int, high: int) -> Callable[[str], _Setting]:
    def read(value: str) -> _Setting:
        number = int(value)
        if not low <= number <= high:
            raise ValueError(f"not in {low}..{high}")
        return field, number

    return read


def _pause(field: str) -> Callable[[str], _Setting]:
    def read(value: str) -> _Setting:
        milliseconds = float(value)
        if not 0 <= milliseconds <= MAX_PAUSE_MS:
            raise ValueError(f"not in 0..{MAX_PAUSE_MS:.0f}")
        return field, milliseconds / 1000

    return read


def _media(value: str) -> _Setting:
    if not value or any(character < " " for character in value):
        raise ValueError("not a content-type")
    return "media", value


def _say(value: str) -> _Setting:
    return "say", base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True).decode()


def _usage(value: str) -> _Setting:
    if value not in ("on", "off"):
        raise ValueError("neither on nor off")
    return "usage", value


_VALUES: Final[dict[str, Callable[[str], _Setting]]] = {
    "chunks": _whole("chunks", 1, 100_000),
    "n": _whole("n", 1, 128),
    "status": _whole("status", 400, 599),
    "cut": _whole("cut", 0, 1 << 30),
    "split": _whole("split", 1, 1 << 24),
    "deep": _whole("deep", 1, 1_000_000),
    "huge": _whole("huge", 1, 1 << 28),
    "bomb": _whole("bomb_mb", 1, 1024),
    "delay": _pause("delay_s"),
    "first": _pause("first_s"),
    "say": _say,
    "type": _media,
    "usage": _usage,
}


@lru_cache(maxsize=512)
def parse(text: str) -> Scenario:
    """The scenario that `text` names. Raises UnknownScenario for a key or value that does not exist."""
    items = (item.strip() for item in text.split(","))
    return Scenario(**dict(_setting(item) for item in items if item))


def _setting(item: str) -> _Setting:
    key, assigned, value = item.partition("=")
    if not assigned:
        return _bare(key)
    if key not in _VALUES:
        raise UnknownScenario(f"unknown fake scenario key {key!r}")
    try:
        return _VALUES[key](value)
    except ValueError as error:
        raise UnknownScenario(f"fake scenario key {key!r}: {error}") from None


def _bare(key: str) -> _Setting:
    if key in _FLAGS:
        return key.replace("-", "_"), True
    if key in TEXTS:
        return "text", key
    if key in ENCODINGS:
        return "encoding", key
    if key == "deep":
        return "deep", DEFAULT_DEPTH
    raise UnknownScenario(f"unknown fake scenario key {key!r}")
