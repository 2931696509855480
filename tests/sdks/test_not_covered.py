"""What runs over no HTTP client of ours is refused, with advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import llmtrace_sdk as llmtrace

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.matrix, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

KEYS = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "us-east-1"}
CASES: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "boto3": ("boto3", lambda boto3: boto3.client("bedrock-runtime", **KEYS), "AnthropicBedrock"),
    "xai": ("xai_sdk", lambda xai: xai.Client(api_key="none"), "gRPC"),
    "dspy": ("dspy", lambda dspy: dspy.LM("openai/gpt-4o-mini", api_key="none"), "an SDK that it covers"),
    "voyage": ("voyageai", lambda voyageai: voyageai.Client(api_key="none"), "requests"),
    "realtime": ("openai", lambda openai: openai.OpenAI(api_key="none").realtime.connect(model="m"), "websocket"),
    "mcp": ("mcp", lambda mcp: mcp.Client("http://127.0.0.1:9/mcp"), "http_client="),
    "litellm": ("litellm", lambda litellm: litellm, r"install\(\)"),
    "named-model": ("pydantic_ai", lambda ai: ai.Agent("openai:gpt-4o", defer_model_check=True), "only a name"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_error_says_what_to_do(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, make, advice = CASES[case]
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    thing = make(pytest.importorskip(name, exc_type=ImportError))
    with pytest.raises(llmtrace.NothingInstrumented, match=advice):
        llmtrace.instrument(thing)


def test_a_client_for_each_call(provider: Any) -> None:
    openai = pytest.importorskip("llama_index.llms.openai", exc_type=ImportError)
    model = openai.OpenAI(api_key="none", api_base=f"{provider.url}/v1", reuse_client=False)
    with pytest.raises(llmtrace.NothingInstrumented, match="reuse_client"):
        llmtrace.instrument(model)
