"""A language model as judge, at any endpoint that speaks OpenAI's or Anthropic's format.

It sees a text without secrets and personal data, as marked data under rules of ours, and answers with a verdict in
JSON. Whatever is not exactly a verdict counts as no answer.
"""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import structs

from llmtrace_sdk.core import jsonio
from llmtrace_sdk.core.model import Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.tiers import _formats, _prompt, _verdict
from llmtrace_sdk.tiers._client import Answer, Client, Unreachable
from llmtrace_sdk.tiers.adviser import NoOpinion

if TYPE_CHECKING:
    from llmtrace_sdk.core.tiers import JudgeOptions, Opinion, Question

DEFAULT_URLS: Final = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
KEY_VARIABLES: Final = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
RETRIES: Final = 2
FIRST_PAUSE_S: Final = 0.25
_TRANSIENT: Final = frozenset({408, 429, 500, 502, 503, 504, 529})
_NOT_UNDERSTOOD: Final = frozenset({400, 422})


class Judge:
    """Asks one model. Thread-safe. `key` is '' for an endpoint that wants none.

    `patient`: try again, as often as `RETRIES`, where the fault may pass and the time allows for it; without it a
    fault is a fault at once. `spent` counts the tokens of all answers.
    """

    def __init__(self, options: JudgeOptions, key: str, *, patient: bool) -> None:
        self._wire: _formats.Format = options.provider
        self._model = options.model or ""
        self._max_chars = options.max_chars
        self._patient = patient
        self._plain = False
        base = options.base_url or DEFAULT_URLS[options.provider]
        self._client = Client(_formats.url(self._wire, base), _formats.headers(self._wire, key))
        self._lock = threading.Lock()
        self._spent = Usage(0, 0)

    @property
    def spent(self) -> Usage:
        """The tokens of all answers so far, as reported."""
        return self._spent

    def ask(self, question: Question, deadline: float) -> Opinion:
        """The judge's opinion on one text, by `deadline` (`time.monotonic()`).

        Raises `TimeoutError`, `Unreachable`, and `NoOpinion` with a code such as `http_401` or `not_a_verdict`.
        """
        mark = secrets.token_hex(6)
        text, partial = _prompt.fitted(question.text, self._max_chars)
        tree = self._answered(_prompt.rules(question.segment.channel, mark), _prompt.shown(text, mark), deadline)
        usage = _formats.usage(self._wire, tree)
        self._count(usage)
        verdict = _verdict.parse(_formats.answer(self._wire, tree))
        return structs.replace(verdict, partial=partial, usage=usage)

    def warm(self) -> None:
        """Import the HTTP library. Raises ImportError with what to install."""
        self._client.warm()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _answered(self, rules: str, text: str, deadline: float) -> Any:
        """The decoded body of a good answer, after as many tries as there may be."""
        tries = 0
        while True:
            pause_s = FIRST_PAUSE_S * 2**tries
            try:
                answer = self._post(rules, text, deadline)
            except Unreachable:
                answer = None
            if answer is not None and answer.status == 200:
                return _decoded(answer.body)
            if answer is not None and answer.status not in _TRANSIENT:
                raise NoOpinion(f"http_{answer.status}")
            asked_s = _retry_after(answer)
            tries += 1
            pause_s = max(pause_s, asked_s)
            if not self._patient or tries > RETRIES or time.monotonic() + pause_s >= deadline:
                if answer is None:
                    raise Unreachable
                raise NoOpinion(f"http_{answer.status}", asked_s)
            time.sleep(pause_s)

    def _post(self, rules: str, text: str, deadline: float) -> Answer:
        """One try; a second one in plainer words where the first is not understood, and from then on at once."""
        plain = self._plain
        answer = self._client.post(self._body(rules, text, plain=plain), deadline)
        if answer.status in _NOT_UNDERSTOOD and not plain:
            answer = self._client.post(self._body(rules, text, plain=True), deadline)
            self._plain = self._plain or answer.status == 200
        return answer

    def _body(self, rules: str, text: str, *, plain: bool) -> bytes:
        return msgspec.json.encode(_formats.question(self._wire, self._model, rules, text, plain=plain))

    def _count(self, usage: Usage) -> None:
        with self._lock:
            spent = self._spent
            self._spent = Usage(
                (spent.input_tokens or 0) + (usage.input_tokens or 0),
                (spent.output_tokens or 0) + (usage.output_tokens or 0),
            )


def _decoded(body: bytes) -> Any:
    try:
        return jsonio.decode(body)
    except Unreadable:
        raise NoOpinion("not_an_answer") from None


def _retry_after(answer: Answer | None) -> float:
    """The seconds that the server wants to be left alone; dates are not understood, and count as none."""
    told = answer.headers.get("retry-after", "") if answer is not None else ""
    try:
        seconds = float(told) if len(told) < 12 else 0.0
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < float("inf") else 0.0
