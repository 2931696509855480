"""The frozen facts that travel through a call: segments, findings, decisions, usage, the record.

Everything here is immutable and cheap to create (`msgspec.Struct`), because every call makes a few dozen of them on
the application's own thread.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

from msgspec import Struct

Channel = Literal["user", "assistant", "system", "tool", "data"]
"""Who wrote a text: the end user, the model, the developer, a tool's result, or retrieved data."""

Kind = Literal["text", "reasoning", "refusal", "tool_call", "tool_result", "tool_definition"]
"""What a text is, independent of who wrote it."""

Phase = Literal["input", "output"]
"""Which half of the call a text belongs to."""

ActionName = Literal["allow", "log", "flag", "redact", "block"]
"""What is done about a call, from weakest to strongest."""

Outcome = Literal["complete", "blocked", "abandoned", "upstream_error", "client_error"]
"""How a call ended.

`complete`: the answer was delivered to its end. `blocked`: our decision ended it. `abandoned`: the application closed,
dropped or cancelled it. `upstream_error`: refused or cut connection, or an HTTP status >= 500. `client_error`: an HTTP
status from 400 to 499.
"""

StreamEnd = Literal["complete", "closed", "abandoned", "cancelled", "error", "blocked"]
"""How the body ended: at its end, by close(), by garbage collection, by cancellation, by a fault, by our decision."""

ActionState = Literal["success", "error", "skipped", "dropped"]
"""How an action ended."""

CoverageState = Literal["scanned", "partial", "unscanned"]


class Severity(IntEnum):
    """How bad a finding is if it is true (ordered)."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The name as it is written in configuration, spans and records: lower case."""
        return self.name.lower()

    @classmethod
    def parse(cls, text: str) -> Severity:
        """Read a severity in any letter case; raises `ValueError` naming the choices."""
        try:
            return cls[text.upper()]
        except KeyError:
            raise ValueError(f"unknown severity {text!r}; use one of {', '.join(s.label for s in cls)}") from None


class Segment(Struct, frozen=True):
    """A piece of text with its author and its place in the body.

    `pointer` is an RFC 6901 JSON pointer into the request body (input) or into the assembled answer (output).
    `name` is the tool's name for tool calls, results and definitions.
    """

    text: str
    channel: Channel
    pointer: str
    kind: Kind = "text"
    name: str | None = None


class Evidence(Struct, frozen=True):
    """One reason for a finding: what fired, where, and what it added to the log odds of an attack.

    `source` is a rule's id, or `classifier.user` or `classifier.data` for a run of words that the classifier weighs.
    """

    source: str
    start: int
    end: int
    weight: float


class Finding(Struct, frozen=True):
    """One detected fact. It carries no advice: what to do about it is the policy's business.

    `start` and `end` are character offsets in the text of the segment at `pointer`. The matched text itself is never
    kept; `match_hash` is a keyed digest of it (`hmac-sha256:<16 hex>`), so that equal matches can be told without
    knowing them. `category` is an OWASP-aligned risk name (`prompt_injection`, `sensitive_info_disclosure`, ...).
    `confidence` of an injection finding is the calibrated score of its segment, made from all the `evidence`.
    `codecs` names the encodings that were undone to read it, outermost first.
    """

    type: str
    rule: str
    severity: Severity
    confidence: float
    start: int
    end: int
    pointer: str = ""
    channel: Channel = "user"
    kind: Kind = "text"
    phase: Phase = "input"
    detector: str = ""
    category: str = ""
    match_hash: str = ""
    codecs: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class Decision(Struct, frozen=True):
    """What was decided about a call, with the findings that caused it.

    `action` is what was enforced; `verdict` is what the policy asked for. They differ only when something asked for
    could not be enforced (an answer that is already on its way). `reason` is a low-cardinality code such as
    `prompt_injection.high`, free of user content. `phase` is the phase that decided. `degraded` is true when a
    detector failed, so that the findings may be incomplete. `shadowed` is what would have been done if shadow mode had
    not been on; `allow` where that is nothing more.
    """

    id: str
    action: ActionName = "allow"
    verdict: ActionName = "allow"
    reason: str = ""
    phase: Phase = "input"
    findings: tuple[Finding, ...] = ()
    degraded: bool = False
    shadowed: ActionName = "allow"

    @property
    def blocked(self) -> bool:
        """True when the call was refused."""
        return self.action == "block"

    @property
    def flagged(self) -> bool:
        """True when the policy asked for more than writing it down."""
        return self.verdict in ("flag", "redact", "block")


class Coverage(Struct, frozen=True):
    """How much of the call was inspected, and why not all of it.

    `reasons` are low-cardinality codes such as `unknown_endpoint`, `invalid_json`, `body_limit`, `decoded_limit`.
    `row` is the row of the table in docs/coverage.md that says what is looked at in such a call, and what can be
    stopped: `unknown` when nobody knows its wire format, `undeclared` when that does not say.
    """

    state: CoverageState = "scanned"
    reasons: tuple[str, ...] = ()
    row: str = ""


class Usage(Struct, frozen=True):
    """Token counts as the provider reported them; None means not reported.

    `input_tokens` includes cached tokens and `output_tokens` includes reasoning tokens
    (OpenTelemetry GenAI semantic conventions, gen_ai.usage.*). `cache_write_1h_tokens` are those of
    `cache_write_tokens` that stay an hour.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_1h_tokens: int | None = None


class Settings(Struct, frozen=True):
    """Sampling settings of a request, as far as they were present in the body."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop_sequences: tuple[str, ...] = ()
    choice_count: int | None = None
    reasoning_level: str | None = None
    output_type: str | None = None
    service_tier: str | None = None
    previous_response_id: str | None = None
    conversation_id: str | None = None
    encoding_formats: tuple[str, ...] = ()
    dimensions: int | None = None


class Prompt(Struct, frozen=True):
    """A request as the pipeline sees it.

    `tools` are the names of the tools offered to the model. `blobs` counts parts that hold no text (images, audio,
    files): they are not inspected, and the record's coverage says so. `notes` are coverage codes for parts whose shape
    was not understood.
    """

    segments: tuple[Segment, ...] = ()
    model: str | None = None
    stream: bool = False
    tools: tuple[str, ...] = ()
    settings: Settings = Settings()
    blobs: int = 0
    notes: tuple[str, ...] = ()


class Delta(Struct, frozen=True):
    """A decoded increment of an answer; a whole (unstreamed) answer is made of deltas too.

    `choice` is the index of the alternative answer, `part` tells the pieces of one alternative apart (content block,
    tool call index, ...). Deltas with the same (kind, choice, part) are concatenated. `pointer` and `name` are given
    by the first delta of a piece at the latest; later ones may leave them empty.
    """

    text: str
    kind: Kind = "text"
    choice: int = 0
    part: int = 0
    pointer: str = ""
    name: str | None = None


class Answer(Struct, frozen=True):
    """A response as the pipeline sees it."""

    segments: tuple[Segment, ...] = ()
    model: str | None = None
    response_id: str | None = None
    finish_reasons: tuple[str, ...] = ()
    usage: Usage = Usage()
    error_type: str | None = None
    service_tier: str | None = None


class Labels(Struct, frozen=True):
    """What the application said about the calls made inside `context(...)`.

    The rest is what the relay knows of a call, None for a call of this process: `source` is the address of its client,
    `trace` and `parent` are the ids of the trace and the span that it belongs to, in hexadecimal digits, and `call` is
    the id that the call has in the instrumented process that made it.
    """

    session: str | None = None
    user: str | None = None
    agent: str | None = None
    tenant: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    source: str | None = None
    trace: str | None = None
    parent: str | None = None
    call: str | None = None


class Timings(Struct, frozen=True):
    """Where our own time went, in nanoseconds; `added` is everything we did on the application's thread."""

    added: int = 0
    parse: int = 0
    scan_input: int = 0
    scan_output: int = 0


class Content(Struct, frozen=True):
    """The texts of a call; kept on a record only when content capture is switched on."""

    input: tuple[Segment, ...] = ()
    output: tuple[Segment, ...] = ()


class BudgetWarning(Struct, frozen=True):
    """A budget that is over its soft limit, or without one over most of its hard limit.

    `scope` is whose budget it is (`tenant`, `agent`, ...), without a name; `spent` and `limit` are tokens or millionths
    of a US dollar, `message` says it in words.
    """

    scope: str
    window: str
    spent: float
    limit: float
    message: str


class ActionStatus(Struct, frozen=True):
    """How one action on one call ended.

    `skipped`: there was nothing to do, and `detail` says why; `dropped`: too many were waiting. `attempts` is how often
    something was sent. `detail` is a low-cardinality code such as `http_500` or `no_source`, free of user content.
    """

    name: str
    status: ActionState
    attempts: int = 0
    detail: str = ""


class CallRecord(Struct, frozen=True, kw_only=True):
    """What happened in one call: made exactly once, whatever way the call ended.

    `started_ns`, `first_chunk_ns` and `ended_ns` are nanoseconds since the Unix epoch. `attempt` is the SDK's retry
    number (0 for the first try). `cost_usd` is None when the price or the usage is unknown; `cost_source` says whose
    price it is (`core.cost.CostSource`), `cost_prices_as_of` of which day the price list is. `usage_estimated`: counts
    that the vendor did not tell were estimated from the texts. `upstream_called` is false
    when the call was refused before it was sent. `changes` is how often something was taken out of the request or the
    answer, or put back into it. `warnings` are budgets that are nearly spent. `actions` says how the actions that
    followed the call ended. `policy_hash` tells the settings that decided (`Settings.policy_hash`).
    """

    id: str
    provider: str
    operation: str
    api: str
    address: str
    port: int | None
    path: str
    started_ns: int
    ended_ns: int
    first_chunk_ns: int | None = None
    outcome: Outcome
    stream_end: StreamEnd
    streamed: bool = False
    status: int | None = None
    error_type: str | None = None
    attempt: int = 0
    upstream_called: bool = True
    prompt: Prompt = Prompt()
    answer: Answer = Answer()
    decision: Decision
    coverage: Coverage = Coverage()
    findings: tuple[Finding, ...] = ()
    cost_usd: float | None = None
    cost_source: str = ""
    cost_prices_as_of: str = ""
    usage_estimated: bool = False
    chunks: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    labels: Labels = Labels()
    timings: Timings = Timings()
    detectors: tuple[str, ...] = ()
    changes: int = 0
    warnings: tuple[BudgetWarning, ...] = ()
    actions: tuple[ActionStatus, ...] = ()
    policy_hash: str = ""
    content: Content | None = None
