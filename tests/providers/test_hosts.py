from __future__ import annotations

import pytest

from llmtrace_sdk.providers import _hosts


@pytest.mark.parametrize(
    ("host", "port", "path", "name"),
    [
        ("api.openai.com", 443, "/v1/chat/completions", "openai"),
        ("eu.api.openai.com", None, "/v1/responses", "openai"),
        ("mine.openai.azure.com", None, "/openai/v1/responses", "azure.ai.openai"),
        ("mine.cognitiveservices.azure.com", None, "/openai/deployments/d/chat/completions", "azure.ai.openai"),
        ("mine.services.ai.azure.com", None, "/models/chat/completions", "azure.ai.inference"),
        ("mine.services.ai.azure.com", None, "/openai/v1/chat/completions", "azure.ai.openai"),
        ("models.inference.ai.azure.com", None, "/chat/completions", "azure.ai.inference"),
        ("gateway.example.com", None, "/llm/openai/deployments/d/embeddings", "azure.ai.openai"),
        ("api.groq.com", None, "/openai/v1/chat/completions", "groq"),
        ("api.mistral.ai", None, "/v1/chat/completions", "mistral_ai"),
        ("codestral.mistral.ai", None, "/v1/fim/completions", "mistral_ai"),
        ("api.together.xyz", None, "/v1/chat/completions", "together"),
        ("api.together.ai", None, "/v1/chat/completions", "together"),
        ("api.fireworks.ai", None, "/inference/v1/chat/completions", "fireworks"),
        ("api.cerebras.ai", None, "/v1/chat/completions", "cerebras"),
        ("api.deepseek.com", None, "/chat/completions", "deepseek"),
        ("api.perplexity.ai", None, "/chat/completions", "perplexity"),
        ("api.x.ai", None, "/v1/chat/completions", "x_ai"),
        ("us-east-1.api.x.ai", None, "/v1/chat/completions", "x_ai"),
        ("api.moonshot.ai", None, "/v1/chat/completions", "moonshot_ai"),
        ("api.moonshot.cn", None, "/v1/chat/completions", "moonshot_ai"),
        ("openrouter.ai", None, "/api/v1/chat/completions", "openrouter"),
        ("router.huggingface.co", None, "/v1/chat/completions", "huggingface"),
        ("api-inference.huggingface.co", None, "/models/m/v1/chat/completions", "huggingface"),
        ("abc.us-east-1.aws.endpoints.huggingface.cloud", None, "/v1/chat/completions", "huggingface"),
        ("someone-space.hf.space", None, "/v1/chat/completions", "huggingface"),
        ("integrate.api.nvidia.com", None, "/v1/chat/completions", "nvidia"),
        ("api.cohere.ai", None, "/compatibility/v1/chat/completions", "cohere"),
        ("generativelanguage.googleapis.com", None, "/v1beta/openai/chat/completions", "gcp.gemini"),
        ("us-central1-aiplatform.googleapis.com", None, "/v1/x/endpoints/openapi/chat/completions", "gcp.vertex_ai"),
        ("aiplatform.googleapis.com", None, "/v1/x/endpoints/openapi/chat/completions", "gcp.vertex_ai"),
        ("us-south.ml.cloud.ibm.com", None, "/ml/gateway/v1/chat/completions", "ibm.watsonx.ai"),
        ("bedrock-runtime.us-west-2.amazonaws.com", None, "/openai/v1/chat/completions", "aws.bedrock"),
        ("bedrock-mantle.us-east-1.api.aws", None, "/v1/responses", "aws.bedrock"),
        ("api.anthropic.com", None, "/v1/chat/completions", "anthropic"),
        ("adb-1.2.azuredatabricks.net", None, "/serving-endpoints/chat/completions", "databricks"),
        ("dashscope-intl.aliyuncs.com", None, "/compatible-mode/v1/chat/completions", "alibaba"),
        ("api.voyageai.com", None, "/v1/embeddings", "voyage"),
        ("oai.helicone.ai", None, "/v1/chat/completions", "openai"),
        ("localhost", 11434, "/v1/chat/completions", "ollama"),
        ("gpu-box", 11434, "/v1/completions", "ollama"),
        ("localhost", 8000, "/v1/chat/completions", "openai"),
        ("127.0.0.1", 1234, "/v1/chat/completions", "openai"),
        ("", None, "/v1/chat/completions", "openai"),
    ],
)
def test_vendor_of_a_host(host: str, port: int | None, path: str, name: str) -> None:
    assert _hosts.provider_name(host, port, path) == name
    assert _hosts.provider_name(host.upper(), port, path) == name


@pytest.mark.parametrize(
    "host",
    [
        "api.groq.com.evil.test",
        "notgroq.com",
        "evilmistral.ai",
        "mine.openai.azure.com.evil.test",
        "ax.ai",
        "amazonaws.com",
    ],
)
def test_only_whole_labels_count(host: str) -> None:
    assert _hosts.provider_name(host, None, "/v1/chat/completions") == "openai"
    assert not _hosts.is_known(host)


def test_known_hosts() -> None:
    assert _hosts.is_known("api.openai.com")
    assert _hosts.is_known("api.x.ai")
    assert not _hosts.is_known("notopenai.com")
    assert not _hosts.is_known("survey.example.com")


def test_cache_is_bounded_and_survives_being_emptied() -> None:
    for number in range(3 * _hosts.CACHE_LIMIT):
        assert _hosts.provider_name(f"h{number}.example", None, "/") == "openai"
        assert len(_hosts._cache) <= _hosts.CACHE_LIMIT
    assert _hosts.provider_name("api.groq.com", None, "/") == "groq"


def test_a_long_host_is_harmless() -> None:
    assert _hosts.provider_name("a." * 50_000 + "groq.com", None, "/") == "groq"
    assert _hosts.provider_name("." * 100_000, None, "/") == "openai"


def test_table_is_lower_case_and_without_dead_entries() -> None:
    for domain, name in _hosts.DOMAINS.items():
        assert domain == domain.lower()
        assert _hosts.provider_name(f"api.{domain}", None, "/") == name
