"""Which endpoint answers a request, and with what scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import msgspec

from . import (
    anthropic,
    bedrock,
    cohere,
    delivery,
    gemini,
    mcp,
    ollama,
    openai,
    openai_responses,
    replicate,
    scenario,
)
from .anthropic import ANTHROPIC
from .bedrock import BEDROCK
from .call import Call
from .cohere import COHERE
from .gemini import GEMINI
from .mcp import MCP
from .ollama import OLLAMA
from .openai import OPENAI
from .replicate import REPLICATE
from .reply import Reply, json_reply
from .scenario import PLAIN, Scenario, UnknownScenario
from .vendor import Endpoint, Vendor

if TYPE_CHECKING:
    from .http1 import Request
    from .state import State

Route = tuple[str, Vendor, Endpoint]
"""The path's end, and what serves it. `*` as the last segment stands for any name."""

_ROUTES: Final[dict[str, tuple[Route, ...]]] = {
    "POST": (
        ("/chat/completions", OPENAI, openai.chat),
        ("/completions", OPENAI, openai.completions),
        ("/responses", OPENAI, openai_responses.responses),
        ("/v1/messages", ANTHROPIC, anthropic.messages),
        ("/v1/messages/count_tokens", ANTHROPIC, anthropic.count_tokens),
        ("/invoke", BEDROCK, bedrock.invoke),
        ("/invoke-with-response-stream", BEDROCK, bedrock.invoke_stream),
        ("/converse", BEDROCK, bedrock.converse),
        ("/converse-stream", BEDROCK, bedrock.converse_stream),
        ("/api/chat", OLLAMA, ollama.chat),
        ("/api/generate", OLLAMA, ollama.generate),
        ("/api/embed", OLLAMA, ollama.embed),
        ("/api/embeddings", OLLAMA, ollama.embeddings),
        ("/embeddings", OPENAI, openai.embeddings),
        ("/v2/chat", COHERE, cohere.chat),
        ("/v2/embed", COHERE, cohere.embed),
        ("/predictions", REPLICATE, replicate.create),
        ("/mcp", MCP, mcp.post),
        ("/files", OPENAI, openai.files),
        ("/batches", OPENAI, openai.batches),
    ),
    "GET": (
        ("/models", OPENAI, openai.models),
        ("/models/*", OPENAI, openai.model),
        ("/api/tags", OLLAMA, ollama.tags),
        ("/predictions/*", REPLICATE, replicate.fetch),
        ("/stream/*", REPLICATE, replicate.stream),
        ("/versions/*", REPLICATE, replicate.version),
        ("/api/agent-harnesses", OPENAI, lambda _: json_reply({})),
        ("/mcp", MCP, mcp.listen),
    ),
    "DELETE": (("/mcp", MCP, mcp.end),),
}

_GOOGLE_METHODS: Final[dict[str, tuple[Vendor, Endpoint]]] = {
    "generateContent": (GEMINI, gemini.generate),
    "streamGenerateContent": (GEMINI, gemini.stream),
    "countTokens": (GEMINI, gemini.count_tokens),
    "embedContent": (GEMINI, gemini.embed),
    "batchEmbedContents": (GEMINI, gemini.embed_batch),
    "predict": (GEMINI, gemini.predict),
    "rawPredict": (ANTHROPIC, anthropic.messages),
    "streamRawPredict": (ANTHROPIC, anthropic.messages),
}


def _by_tail() -> dict[tuple[str, str], list[Route]]:
    """Routes by method and last path segment; those that end in `*` by the segment before it and `/*`."""
    table: dict[tuple[str, str], list[Route]] = {}
    for method, routes in _ROUTES.items():
        for route in routes:
            parts = route[0].split("/")
            tail = f"{parts[-2]}/*" if parts[-1] == "*" else parts[-1]
            table.setdefault((method, tail), []).append(route)
    return table


_TAILS: Final = _by_tail()


def find(method: str, path: str) -> tuple[Vendor, Endpoint] | None:
    """What serves a request, whatever stands before the path's end."""
    method = "GET" if method == "HEAD" else method
    before, _, tail = path.rpartition("/")
    for end, vendor, endpoint in _TAILS.get((method, tail), ()):
        if path.endswith(end):
            return vendor, endpoint
    if method == "POST":
        return _google(path, tail)
    for _, vendor, endpoint in _TAILS.get((method, before.rpartition("/")[2] + "/*"), ()):
        return vendor, endpoint
    return None


def _google(path: str, tail: str) -> tuple[Vendor, Endpoint] | None:
    name = tail.rpartition(":")[2]
    if name.endswith("awPredict") and "/publishers/mistralai/" in path:
        return OPENAI, openai.chat
    return _GOOGLE_METHODS.get(name)


def respond(request: Request, state: State) -> tuple[Reply, Scenario]:
    """Answers a request and says how the answer is to be delivered."""
    path = request.path
    if path.startswith("/__fake__/"):
        reply = _about_itself(path, request.method, state)
        reply.counted = False
        return reply, PLAIN
    state.count(request)
    found = find(request.method, path)
    if found is None:
        return openai.error(404, f"the fake provider does not serve {request.method} on this path"), PLAIN
    return _serve(request, state, *found)


def _serve(request: Request, state: State, vendor: Vendor, endpoint: Endpoint) -> tuple[Reply, Scenario]:
    data = _decode(request)
    if data is None:
        return vendor.error(400, "the request body is no JSON object"), PLAIN
    model, _, directive = vendor.model(request, data).partition("+")
    try:
        asked = _scenario(request, directive)
        delivery.encoder(delivery.coding(asked))
    except UnknownScenario as unknown:
        return vendor.error(400, str(unknown)), PLAIN
    if asked.status:
        return vendor.error(asked.status, f"the fake provider was asked for status {asked.status}"), asked
    return endpoint(Call(request, data, asked, state, model)), asked


def _decode(request: Request) -> dict[str, Any] | None:
    """The body as a JSON object; {} for no body or a body of another type; None if it is broken."""
    if not request.body or not _is_json(request.headers.get("content-type", "application/json")):
        return {}
    try:
        data = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _is_json(content_type: str) -> bool:
    return "json" in content_type or "multipart/" not in content_type


def _scenario(request: Request, directive: str) -> Scenario:
    header = request.headers.get("x-fake-scenario", "")
    if not (header or directive or request.query):
        return PLAIN
    query = ",".join(parse_qs(request.query).get("fake", ())) if "fake=" in request.query else ""
    text = ",".join(filter(None, (directive, query, header)))
    return scenario.parse(text) if text else PLAIN


def _about_itself(path: str, method: str, state: State) -> Reply:
    if path == "/__fake__/stats" and method == "GET":
        return json_reply(state.stats())
    if path == "/__fake__/reset" and method == "POST":
        state.reset()
        return json_reply({"reset": True})
    return openai.error(404, "the fake provider has GET /__fake__/stats and POST /__fake__/reset")
