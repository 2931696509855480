"""The optional tiers behind the built-in engine: what they are asked, and what their opinion is worth.

It only thinks; who asks, where and for how long is the drivers' business (`effects.Ask`). A tier is asked about texts
in the grey zone of the engine's own score. It may add a finding; it can never weaken one or take one away, and no
answer is never the same as "benign".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple

from msgspec import Struct

from llmtrace_sdk.core.masking import encodable, is_sensitive, redact, without_keys
from llmtrace_sdk.core.model import Finding, Segment, Severity, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TierName = Literal["ml", "judge"]
TierMode = Literal["async", "inline"]
Category = Literal["prompt_injection", "jailbreak", "data_exfiltration", "policy_violation", "benign", "other"]
Failure = Literal["timeout", "busy", "paused", "failed"]
"""Why there is no opinion: no time left, too much to do, resting after many failures, anything else."""

CHANNELS: Final = frozenset({"user", "tool", "data"})
ATTACKS: Final = frozenset({"prompt_injection", "jailbreak", "data_exfiltration"})
"""The categories that speak of an injection; what a judge says of others is written down as a low finding."""

SURE: Final = 0.9
"""The confidence from which a finding of a tier is of high severity."""

DEADLINES_MS: Final[dict[tuple[TierName, TierMode], int]] = {
    ("ml", "inline"): 300,
    ("ml", "async"): 2_000,
    ("judge", "inline"): 2_000,
    ("judge", "async"): 5_000,
}


class Question(Struct, frozen=True):
    """One text to ask about. `text` is what the tier may see of the segment: for a judge, without secrets."""

    segment: Segment
    text: str


class Opinion(Struct, frozen=True):
    """What a tier says of one text. `confidence` is 0..1; for `ml` it is the probability of an attack.

    `start` and `end` are the place in the segment's text, the whole text when not given. `partial`: the tier has not
    seen all of the text. `usage`: what the answer cost.
    """

    is_threat: bool
    category: Category
    confidence: float
    start: int = 0
    end: int | None = None
    partial: bool = False
    usage: Usage = Usage()


class Unanswered(Struct, frozen=True):
    """There is no opinion."""

    reason: Failure


Reply = Opinion | Unanswered


class Heard(NamedTuple):
    """What the replies come to. `codes` are coverage codes; `enforce` says whether the findings may cause an action."""

    findings: tuple[Finding, ...]
    codes: tuple[str, ...]
    failed: bool
    enforce: bool


class Tier(Struct, frozen=True):
    """When a tier is asked, and what its opinion is worth.

    It is asked about at most `texts` texts of a call whose score is at least `low` and under `high`, the highest score
    first. An opinion under `min_confidence` adds nothing. The findings of a `shadow` tier never cause anything.
    `masked`: the texts leave the process, so that secrets and personal data are taken out of them.
    """

    name: TierName
    mode: TierMode
    low: float
    high: float
    min_confidence: float
    deadline_ms: int
    shadow: bool = False
    masked: bool = False
    texts: int = 4

    def questions(
        self, texts: Iterable[tuple[Segment, float]], findings: Sequence[Finding], *, routed: bool = False
    ) -> tuple[tuple[Question, ...], bool]:
        """What to ask, and whether texts of the grey zone are left out because there are too many.

        `routed`: ask about texts outside of that zone as well, first those with findings, which count as such of it.
        """
        found = {f.pointer for f in findings if f.phase == "input"} if routed else set()
        zone = [(s, score) for s, score in texts if self._is_grey(s, score) or (routed and _is_for_tiers(s))]
        zone.sort(key=lambda item: (item[0].pointer not in found, -item[1]))
        asked = tuple(Question(s, _masked(s, findings) if self.masked else s.text) for s, _ in zone[: self.texts])
        return asked, any(s.pointer in found or self._is_grey(s, score) for s, score in zone[self.texts :])

    def hear(self, questions: Sequence[Question], replies: Sequence[Reply]) -> Heard:
        """What the replies, one for each question and in their order, add to the findings."""
        findings: list[Finding] = []
        codes: dict[str, None] = {}
        for question, reply in zip(questions, replies, strict=True):
            if isinstance(reply, Unanswered):
                codes[f"{self.name}_{reply.reason}"] = None
                continue
            if reply.partial:
                codes[f"{self.name}_partial"] = None
            if self._holds(reply):
                findings.append(self._finding(question.segment, reply))
        failed = any(isinstance(reply, Unanswered) for reply in replies)
        return Heard(tuple(findings), tuple(codes), failed, not self.shadow)

    def _is_grey(self, segment: Segment, score: float) -> bool:
        return self.low <= score < self.high and _is_for_tiers(segment)

    def _holds(self, opinion: Opinion) -> bool:
        return opinion.is_threat and opinion.category != "benign" and self.min_confidence <= opinion.confidence <= 1

    def _finding(self, segment: Segment, opinion: Opinion) -> Finding:
        return Finding(
            type="prompt_injection",
            rule="ml.onnx" if self.name == "ml" else f"judge.{opinion.category}",
            severity=self._severity(opinion),
            confidence=opinion.confidence,
            start=opinion.start,
            end=len(segment.text) if opinion.end is None else opinion.end,
            pointer=segment.pointer,
            channel=segment.channel,
            kind=segment.kind,
            detector=self.name,
            category="jailbreak" if opinion.category == "jailbreak" else "prompt_injection",
        )

    def _severity(self, opinion: Opinion) -> Severity:
        if self.shadow:
            return Severity.INFO
        if opinion.category not in ATTACKS:
            return Severity.LOW
        return Severity.HIGH if opinion.confidence >= SURE else Severity.MEDIUM


def settled(
    tier: Tier, findings: Iterable[Finding], grey: Iterable[tuple[Segment, float]]
) -> list[tuple[Segment, float]]:
    """The texts that are still open after a tier has spoken: a later one need not be asked what is known already."""
    known = set() if tier.shadow else {finding.pointer for finding in findings}
    return [(segment, score) for segment, score in grey if segment.pointer not in known]


def _is_for_tiers(segment: Segment) -> bool:
    return segment.channel in CHANNELS and bool(segment.text.strip())


def _masked(segment: Segment, findings: Iterable[Finding]) -> str:
    here = (f for f in findings if f.phase == "input" and f.pointer == segment.pointer and is_sensitive(f))
    return without_keys(encodable(redact(segment.text, here)))


@dataclass(frozen=True, slots=True, kw_only=True)
class MLOptions:
    """A sequence classifier of your own, as an ONNX file; it is read from disk and never downloaded.

    `tokenizer_path` is the `tokenizer.json` beside the model if not given; so is `config.json`, which names the labels.
    `labels`: those that mean an attack, when their names do not say so. `threshold`: the probability from which a text
    is one. `mode`: `async` asks after the call, on a thread of its own; `inline` before the request is sent, where the
    policy could stop it. `deadline_ms`: how long a call, or its record, may wait (300 inline, 2,000 async). `low` and
    `high`: the engine's scores between which the model is asked. `threads`: of one run.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enabled: bool = False
    model_path: str | None = None
    tokenizer_path: str | None = None
    labels: tuple[str, ...] | None = None
    threshold: float = 0.8
    mode: TierMode = "async"
    deadline_ms: int | None = None
    low: float = 0.3
    high: float = 0.9
    threads: int = 1

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        if not self.enabled:
            return []
        found = _problems("ml", self.low, self.high, self.deadline_ms, {"threshold": self.threshold})
        if not self.model_path:
            found.append("ml.model_path: give the path of an ONNX file")
        if not 1 <= self.threads <= 64:
            found.append(f"ml.threads: {self.threads} is not between 1 and 64")
        return found

    def tier(self) -> Tier:
        """The tier as the core sees it."""
        deadline = self.deadline_ms or DEADLINES_MS["ml", self.mode]
        return Tier("ml", self.mode, self.low, self.high, self.threshold, deadline)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """A language model that is asked for a second opinion, at any endpoint that speaks OpenAI's or Anthropic's format.

    `base_url`: the vendor's own if not given. `api_key_env`: the environment variable that holds the key; the vendor's
    usual one at the vendor's own URL, none at another. `mode`, `low` and `high` as for `ml`. `deadline_ms`: 2,000
    inline, 5,000 async. `min_confidence`: what the judge must reach to add a finding. `shadow`: its findings are
    written down with severity info and never cause anything. `max_chars`: how much of a text it sees.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    enabled: bool = False
    provider: Literal["openai", "anthropic"] = "openai"
    base_url: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    mode: TierMode = "async"
    deadline_ms: int | None = None
    min_confidence: float = 0.7
    shadow: bool = False
    low: float = 0.3
    high: float = 0.9
    max_chars: int = 8_000

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each."""
        if not self.enabled:
            return []
        found = _problems("judge", self.low, self.high, self.deadline_ms, {"min_confidence": self.min_confidence})
        if not self.model:
            found.append("judge.model: give the name of a model")
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            found.append("judge.base_url: it must begin with http:// or https://")
        if not 200 <= self.max_chars <= 1_000_000:
            found.append(f"judge.max_chars: {self.max_chars} is not between 200 and 1000000")
        return found

    def tier(self) -> Tier:
        """The tier as the core sees it."""
        deadline = self.deadline_ms or DEADLINES_MS["judge", self.mode]
        return Tier("judge", self.mode, self.low, self.high, self.min_confidence, deadline, self.shadow, masked=True)


def _problems(group: str, low: float, high: float, deadline_ms: int | None, shares: dict[str, float]) -> list[str]:
    found = [f"{group}.{name}: {value} is not between 0 and 1" for name, value in shares.items() if not 0 <= value <= 1]
    if not 0 <= low < high <= 1:
        found.append(f"{group}: low {low} and high {high} must be in order between 0 and 1")
    if deadline_ms is not None and not 1 <= deadline_ms <= 600_000:
        found.append(f"{group}.deadline_ms: {deadline_ms} is not between 1 and 600000")
    return found
