"""One text for every kind of secret and of personal data that the rules find, with the value that must not get out."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from llmtrace_sdk import detectors
from llmtrace_sdk.core.model import Segment
from llmtrace_sdk.core.scan import Engine
from llmtrace_sdk.detectors import _rules
from tests.detectors.made_secrets import IN_FRONT, NAMED, PREFIXED, SHAPED, Maker


class Kind(NamedTuple):
    """`text` says the value at `start`; `type` is what is found there."""

    name: str
    text: str
    value: str
    type: str

    @property
    def start(self) -> int:
        return self.text.index(self.value)


@lru_cache
def engine() -> Engine:
    return Engine(detectors.build())


@lru_cache
def kinds() -> tuple[Kind, ...]:
    """Those that are found in answers."""
    made = [_kind(name, text) for name, text in _texts()]
    return tuple(kind for kind in made if kind is not None)


def _texts() -> list[tuple[str, str]]:
    out = [(name, f"It is {IN_FRONT.get(name, '')}{make(Maker(7))} as said.") for name, make in PREFIXED.items()]
    out += [(name, f"{names[0]}={make(Maker(7))} as said.") for name, (names, make) in NAMED.items()]
    out += [(name, f"{shape.format(make(Maker(7)))} as said.") for name, (shape, make) in SHAPED.items()]
    for detector in ("pii_detected",):
        for rule in _rules.load(detector):
            out.append((rule.id, f"So: {rule.examples[0]} as said."))
    return out


def _kind(name: str, text: str) -> Kind | None:
    found = engine().scan((Segment(text, "assistant", ""),), "output").findings
    found = tuple(f for f in found if f.type in ("secret_leakage", "pii_detected") and f.start < f.end)
    if not found:
        return None
    first = min(found, key=lambda f: f.start)
    return Kind(name, text, text[first.start : first.end], first.type)
