"""The two wire formats a judge may speak: how a question is put, and where the answer is."""

from __future__ import annotations

from typing import Any, Final, Literal

from llmtrace_sdk.core.model import Usage
from llmtrace_sdk.tiers.adviser import NoOpinion

Format = Literal["openai", "anthropic"]

ANSWER_TOKENS: Final = 400
ANSWER_AND_REASONING_TOKENS: Final = 4_096
_ENDED: Final = {"openai": {"stop", None}, "anthropic": {"end_turn", "stop_sequence", None}}


def url(wire: Format, base: str) -> str:
    """Where questions go. Anthropic's base URL is given without `/v1`, OpenAI's with it; both are taken either way."""
    base = base.rstrip("/")
    if wire == "anthropic":
        return f"{base.removesuffix('/v1')}/v1/messages"
    return f"{base}/chat/completions"


def headers(wire: Format, key: str) -> dict[str, str]:
    """The headers that carry the key, if there is one."""
    if wire == "anthropic":
        return {"anthropic-version": "2023-06-01", **({"x-api-key": key} if key else {})}
    return {"authorization": f"Bearer {key}"} if key else {}


def question(wire: Format, model: str, rules: str, text: str, *, plain: bool) -> dict[str, Any]:
    """The body of a request. `plain` leaves out what some models and servers refuse."""
    if wire == "anthropic":
        body = {
            "model": model,
            "max_tokens": ANSWER_TOKENS,
            "system": rules,
            "messages": [{"role": "user", "content": text}],
        }
        return body if plain else {**body, "temperature": 0}
    body = {"model": model, "messages": [{"role": "system", "content": rules}, {"role": "user", "content": text}]}
    if plain:
        return {**body, "max_completion_tokens": ANSWER_AND_REASONING_TOKENS}
    return {**body, "max_tokens": ANSWER_TOKENS, "temperature": 0, "response_format": {"type": "json_object"}}


def answer(wire: Format, tree: Any) -> str:
    """The text of a whole answer. Raises `NoOpinion` for a refusal, a tool call, an answer cut short, other shapes."""
    try:
        return _anthropic_text(tree) if wire == "anthropic" else _openai_text(tree)
    except (KeyError, IndexError, TypeError, AttributeError):
        raise NoOpinion("not_an_answer") from None


def usage(wire: Format, tree: Any) -> Usage:
    """What the answer cost, as far as it says so."""
    told = tree.get("usage") if isinstance(tree, dict) else None
    if not isinstance(told, dict):
        return Usage()
    names = ("input_tokens", "output_tokens") if wire == "anthropic" else ("prompt_tokens", "completion_tokens")
    counts = [told.get(name) for name in names]
    return Usage(*(count if type(count) is int and 0 <= count < 1 << 53 else None for count in counts))


def _openai_text(tree: Any) -> str:
    choice = tree["choices"][0]
    message = choice["message"]
    if message.get("refusal") or message.get("tool_calls") or choice.get("finish_reason") not in _ENDED["openai"]:
        raise NoOpinion("refused")
    content = message["content"]
    return content if isinstance(content, str) else _texts(content)


def _anthropic_text(tree: Any) -> str:
    if tree.get("stop_reason") not in _ENDED["anthropic"]:
        raise NoOpinion("refused")
    return _texts(tree["content"])


def _texts(parts: list[Any]) -> str:
    """The text parts joined; what a model thought before does not count, anything else is not an answer."""
    texts = [part["text"] for part in parts if part["type"] not in ("thinking", "redacted_thinking")]
    if not all(isinstance(text, str) for text in texts):
        raise NoOpinion("not_an_answer")
    return "".join(texts)
