"""What runs over one sort of segment, and the kinds of detector that an engine knows how to run together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from msgspec import Struct

from llmtrace_sdk.core.rulebook import Rulebook
from llmtrace_sdk.typing import Detector

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmtrace_sdk.core.fusion import Assessment
    from llmtrace_sdk.core.model import Channel, Evidence, Finding, Phase
    from llmtrace_sdk.core.patterns import Rule
    from llmtrace_sdk.core.text import View


@runtime_checkable
class RuleBased(Protocol):
    """A detector whose rules are matched together with those of all the others."""

    name: str
    phases: frozenset[Phase]
    rules: Sequence[Rule]

    def confirm(self, rule: Rule, text: str, start: int, end: int, /) -> bool:
        """Whether a match is a finding."""


@runtime_checkable
class Fusing(Protocol):
    """The detector that makes one score of all the evidence of an injection."""

    name: str
    phases: frozenset[Phase]

    def weigh(self, words: Sequence[str], channel: Channel, found: Iterable[Finding], /) -> Assessment | None:
        """The assessment of a text of these words; None for a channel that is not judged."""

    def explain(self, text: str, assessment: Assessment, found: Sequence[Finding], /) -> tuple[Evidence, ...]:
        """Its reasons, in offsets of the folded text."""


@runtime_checkable
class Decoding(Protocol):
    """The detector that reads what is encoded inside a text."""

    name: str
    phases: frozenset[Phase]

    def decodings(self, view: View, /) -> Sequence[View]:
        """Decoded readings of parts of a text."""

    def joined(self, views: Sequence[View], /) -> View | None:
        """The decoded reading of what was split over several texts."""


class Plan(Struct, frozen=True):
    """What runs over one sort of segment: a set of rules with the detector of each, and the other detectors.

    `threshold` is the injection score from which a text counts as an attack. `own`: none of the detectors is a third
    party's, so that what they find may be remembered.
    """

    patterns: Rulebook
    owners: tuple[RuleBased, ...]
    others: tuple[Detector, ...]
    fusing: Fusing | None = None
    decoding: Decoding | None = None
    threshold: float = 0.0
    own: bool = False
