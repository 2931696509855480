"""Marks that the application put into its own instructions, found in what the model says (OWASP LLM07)."""

from __future__ import annotations

import codecs
import re
from base64 import b32encode, b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from llmtrace_sdk.core.model import Finding, Severity
from llmtrace_sdk.core.text import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmtrace_sdk.core.model import Phase, Segment

PREFIX: Final = "llmt-canary-"
"""How the marks that `new_token` makes begin. It is no secret, and finding it alone means nothing."""

LEAST_RANDOM: Final = 10
"""Bytes of randomness in a mark."""

PARTIAL: Final = 8
"""Characters of the random part in a row that are no coincidence any more."""

_APART: Final = re.compile(r"[\W_]+")
_PARTS: Final = re.compile(r"[^0-9A-Za-z]+")


class Match(NamedTuple):
    """How a mark was found: the rule, how severe, how sure, and the place in characters."""

    rule: str
    severity: Severity
    confidence: float
    start: int
    end: int


def new_token(random_bytes: bytes) -> str:
    """A mark for a system prompt, made of bytes that the caller took from `os.urandom` or `secrets`.

    Raises `ValueError` for less than `LEAST_RANDOM` bytes.
    """
    if len(random_bytes) < LEAST_RANDOM:
        raise ValueError(f"a canary token needs at least {LEAST_RANDOM} random bytes, not {len(random_bytes)}")
    return PREFIX + b32encode(random_bytes).decode().rstrip("=").lower()


def random_part(token: str) -> str:
    """What is secret in a mark: all behind our prefix; of a mark of other make, its longest run of letters and digits.

    Where no run is `PARTIAL` characters long, the whole mark is.
    """
    if token.startswith(PREFIX):
        return token.removeprefix(PREFIX)
    longest = max(_PARTS.split(token), key=len)
    return longest if len(longest) >= PARTIAL else token


class CanaryTokenLeakage:
    """Looks for each token as it is, in another case, encoded, reversed, spelled out, and in part."""

    name = "canary_token_leakage"
    phases: frozenset[Phase] = frozenset({"output"})

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tuple(map(_Token, tokens))

    def detect(self, segment: Segment, phase: Phase, /) -> tuple[Finding, ...]:
        """One finding for each token, the surest."""
        if not self._tokens or phase not in self.phases:
            return ()
        view = fold(segment.text)
        reading = _Reading(view.text)
        found = []
        for token in self._tokens:
            match = next(token.matches(reading), None)
            if match is not None:
                start, end = view.origin(match.start, match.end)
                found.append(self._finding(match._replace(start=start, end=end), segment, phase))
        return tuple(found)

    def _finding(self, match: Match, segment: Segment, phase: Phase) -> Finding:
        return Finding(
            self.name,
            f"{self.name}.{match.rule}",
            match.severity,
            match.confidence,
            match.start,
            match.end,
            segment.pointer,
            segment.channel,
            segment.kind,
            phase,
            self.name,
            "system_prompt_leakage",
        )


class _Reading:
    """A folded text in the forms in which tokens are looked for."""

    def __init__(self, text: str) -> None:
        lowered = text.lower()
        self.text = text
        self.lowered = lowered if len(lowered) == len(text) else text  # the offsets must stay true
        self.bare = _APART.sub("", self.lowered)

    def spread(self, start: int, end: int) -> tuple[int, int]:
        """Where a span of `bare` is in the text."""
        places = [at for at, sign in enumerate(self.lowered) if not _APART.match(sign)]
        return places[start], places[end - 1] + 1


class _Token:
    """One mark, in every form that is looked for."""

    def __init__(self, token: str) -> None:
        secret = random_part(token)
        self._forms = tuple(dict.fromkeys((token, secret)))
        self._secret = secret.lower()
        self._bare = _APART.sub("", self._secret)
        spellings = tuple(dict.fromkeys((secret, secret.lower(), secret.upper())))
        self._base64 = tuple(dict.fromkeys(form for spelling in spellings for form in _base64_forms(spelling)))
        self._hex = tuple(spelling.encode().hex() for spelling in spellings)
        self._rot13 = codecs.encode(self._secret, "rot13")

    def matches(self, reading: _Reading) -> Iterator[Match]:
        """How it was found, surest first."""
        yield from _found("exact", Severity.CRITICAL, 1.0, reading.text, *self._forms)
        lowered = reading.lowered
        yield from _found("other_case", Severity.CRITICAL, 0.95, lowered, self._secret)
        yield from _found("base64", Severity.HIGH, 0.9, reading.text, *self._base64)
        yield from _found("hex", Severity.HIGH, 0.85, lowered, *self._hex)
        yield from _found("reversed", Severity.HIGH, 0.85, lowered, self._secret[::-1])
        yield from _found("rot13", Severity.HIGH, 0.85, lowered, self._rot13)
        yield from self._spaced(reading)
        yield from self._partial(lowered)

    def _spaced(self, reading: _Reading) -> Iterator[Match]:
        """The same with anything that is no letter and no digit between its signs."""
        for rule, forms in (("spaced", (self._bare, self._bare[::-1])), ("hex", self._hex)):
            for match in _found(rule, Severity.HIGH, 0.85, reading.bare, *forms):
                start, end = reading.spread(match.start, match.end)
                yield match._replace(start=start, end=end)

    def _partial(self, text: str) -> Iterator[Match]:
        """The longest part of it that is there."""
        best = (0, 0)
        for first in range(len(self._secret) - PARTIAL + 1):
            start = text.find(self._secret[first : first + PARTIAL])
            if start >= 0:
                size = _common(self._secret[first:], text[start : start + len(self._secret)])
                best = max(best, (size, start))
        size, start = best
        if size:
            share = round(size / len(self._secret), 2)
            yield Match("partial", Severity.MEDIUM, share, start, start + size)


def _found(rule: str, severity: Severity, confidence: float, text: str, *forms: str) -> Iterator[Match]:
    for form in forms:
        start = text.find(form)
        if start >= 0:
            yield Match(rule, severity, confidence, start, start + len(form))


def _base64_forms(secret: str) -> Iterator[str]:
    """What its base64 has in common wherever in a longer text it begins, in both alphabets."""
    for before in range(3):
        data = b"\0" * before + secret.encode()
        encoded = b64encode(data).decode()
        # signs that hold bits of what is around depend on it
        first = -(-before * 8 // 6)
        last = len(data) * 8 // 6
        yield encoded[first:last]
        yield encoded[first:last].replace("+", "-").replace("/", "_")


def _common(first: str, second: str) -> int:
    size = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        size += 1
    return size


def build(tokens: Sequence[str] = ()) -> CanaryTokenLeakage:
    """The detector. `tokens` are secrets of the application.

    Raises `TypeError` when they are no sequence of texts, or when one is too short to be told from ordinary words.
    """
    if isinstance(tokens, str) or not isinstance(tokens, Sequence):
        raise TypeError("tokens must be a list of texts")
    for token in tokens:
        if not isinstance(token, str) or len(random_part(token)) < PARTIAL:
            raise TypeError(f"each token must be a text with {PARTIAL} characters or more that nobody can guess")
    return CanaryTokenLeakage(tokens)
