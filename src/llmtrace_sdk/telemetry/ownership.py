"""Whose span is it: ours, or that of a library that traces the same call already?

Two libraries that both make an inference span for one call double every count drawn from them, so a second one only
adds what it alone knows. util-genai marks its calls with a key in the context; others are known by their span.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from opentelemetry import context as context_api

from llmtrace_sdk.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

Role = Literal["own", "enrich", "off"]

# The first two keys carry a random suffix, so they can only be had from the API package, where they are private.
SUPPRESSION_KEYS: Final = frozenset(
    {
        getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"),
        getattr(context_api, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation"),
        "suppress_instrumentation",
    }
)
# The keys of opentelemetry.util.genai.invocation that stand for one call to a model. Its retrieval key is not among
# them: an embeddings call inside a retrieval is a call of its own.
UTIL_GENAI_KEYS: Final = frozenset(
    {
        "opentelemetry.genai.client.inference.context",
        "opentelemetry.genai.client.embedding.context",
        "opentelemetry.genai.client.fetch_response.context",
    }
)
INFERENCE_OPERATIONS: Final = frozenset({"chat", "text_completion", "generate_content", "embeddings"})


def suppressed(context: Context) -> bool:
    """Whether the application, or an exporter, asked instrumentation to be silent."""
    return not SUPPRESSION_KEYS.isdisjoint(context) and any(context.get(key) for key in SUPPRESSION_KEYS)


def traced_by_another(context: Context, current: Span) -> bool:
    """Whether another library has an inference span for this call. Never raises; when in doubt, no."""
    if not UTIL_GENAI_KEYS.isdisjoint(context) and any(context.get(key) is not None for key in UTIL_GENAI_KEYS):
        return True
    try:
        return current.is_recording() and _is_inference(current)
    except Exception:  # noqa: BLE001 - a foreign span class may do anything
        return False


def _is_inference(span: Span) -> bool:
    """Attributes and scope can be read from the SDK's spans only; the API has no reading side."""
    attributes = getattr(span, "attributes", None)
    if attributes and attributes.get(names.OPERATION) in INFERENCE_OPERATIONS:
        return True
    scope = getattr(span, "instrumentation_scope", None)
    return scope is not None and traces_models(scope.name)


@lru_cache(maxsize=256)
def traces_models(scope: str) -> bool:
    """Whether an instrumentation scope is one whose spans stand for calls to models."""
    if scope == "com.anthropic.sdk.python" or scope.startswith(("openinference.instrumentation.", "logfire.")):
        return True
    return scope.startswith("opentelemetry.instrumentation.") and ("openai" in scope or "anthropic" in scope)
