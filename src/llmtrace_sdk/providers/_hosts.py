"""Which vendor answers at a host: the value of gen_ai.provider.name for OpenAI-shaped endpoints.

Names defined by the OpenTelemetry GenAI conventions are used where they exist; the others are the vendors' own names
in lower case, which the conventions allow. A host nobody knows (a self-hosted vLLM, a gateway) is `openai`, because
that is the wire format it speaks.
"""

from __future__ import annotations

import re
from typing import Final

DEFAULT: Final = "openai"
OLLAMA_PORT: Final = 11434
CACHE_LIMIT: Final = 512
HOST_LIMIT: Final = 253

AZURE_OPENAI: Final = "azure.ai.openai"
AZURE_INFERENCE: Final = "azure.ai.inference"

DOMAINS: Final[dict[str, str]] = {
    "openai.azure.com": AZURE_OPENAI,
    "openai.azure.us": AZURE_OPENAI,
    "openai.azure.cn": AZURE_OPENAI,
    "cognitiveservices.azure.com": AZURE_OPENAI,
    "services.ai.azure.com": AZURE_INFERENCE,
    "models.ai.azure.com": AZURE_INFERENCE,
    "inference.ai.azure.com": AZURE_INFERENCE,
    "inference.ml.azure.com": AZURE_INFERENCE,
    "models.github.ai": "github",
    "githubcopilot.com": "github",
    "anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "cohere.com": "cohere",
    "cohere.ai": "cohere",
    "deepseek.com": "deepseek",
    "groq.com": "groq",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
    "mistral.ai": "mistral_ai",
    "moonshot.ai": "moonshot_ai",
    "moonshot.cn": "moonshot_ai",
    "perplexity.ai": "perplexity",
    "x.ai": "x_ai",
    "together.ai": "together",
    "together.xyz": "together",
    "fireworks.ai": "fireworks",
    "cerebras.ai": "cerebras",
    "openrouter.ai": "openrouter",
    "huggingface.co": "huggingface",
    "huggingface.cloud": "huggingface",
    "hf.space": "huggingface",
    "nvidia.com": "nvidia",
    "ollama.com": "ollama",
    "ai21.com": "ai21",
    "aleph-alpha.com": "aleph_alpha",
    "aimlapi.com": "aimlapi",
    "aliyuncs.com": "alibaba",
    "anyscale.com": "anyscale",
    "arcee.ai": "arcee",
    "baichuan-ai.com": "baichuan",
    "baidubce.com": "baidu",
    "baseten.co": "baseten",
    "bigmodel.cn": "zhipu",
    "z.ai": "zhipu",
    "bytepluses.com": "volcengine",
    "volces.com": "volcengine",
    "chutes.ai": "chutes",
    "cloudflare.com": "cloudflare",
    "databricks.com": "databricks",
    "azuredatabricks.net": "databricks",
    "deepinfra.com": "deepinfra",
    "do-ai.run": "digitalocean",
    "featherless.ai": "featherless",
    "friendli.ai": "friendli",
    "gmi-serving.com": "gmi",
    "helicone.ai": "helicone",
    "heroku.com": "heroku",
    "hyperbolic.xyz": "hyperbolic",
    "inceptionlabs.ai": "inception",
    "inference.net": "inference_net",
    "jina.ai": "jina",
    "kepler.ai.cloud.ovh.net": "ovhcloud",
    "kluster.ai": "kluster",
    "lambda.ai": "lambda",
    "lambdalabs.com": "lambda",
    "lepton.ai": "lepton",
    "lingyiwanwu.com": "zero_one_ai",
    "llama.com": "meta",
    "minimax.chat": "minimax",
    "minimax.io": "minimax",
    "minimaxi.com": "minimax",
    "mixedbread.com": "mixedbread",
    "morphllm.com": "morph",
    "nebius.ai": "nebius",
    "nebius.com": "nebius",
    "nomic.ai": "nomic",
    "novita.ai": "novita",
    "nscale.com": "nscale",
    "parasail.io": "parasail",
    "poe.com": "poe",
    "portkey.ai": "portkey",
    "predibase.com": "predibase",
    "reka.ai": "reka",
    "replicate.com": "replicate",
    "requesty.ai": "requesty",
    "sambanova.ai": "sambanova",
    "sarvam.ai": "sarvam",
    "sberbank.ru": "gigachat",
    "scaleway.ai": "scaleway",
    "siliconflow.cn": "siliconflow",
    "siliconflow.com": "siliconflow",
    "snowflakecomputing.com": "snowflake",
    "stepfun.com": "stepfun",
    "stepfun.ai": "stepfun",
    "tencent.com": "tencent",
    "tencentcloudapi.com": "tencent",
    "upstage.ai": "upstage",
    "venice.ai": "venice",
    "vercel.sh": "vercel",
    "voyageai.com": "voyage",
    "writer.com": "writer",
    "xf-yun.com": "iflytek",
    "yandex.net": "yandex",
}
"""A domain stands for itself and everything under it; the longest one that fits wins."""

REGIONAL: Final = (
    ("", "-aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("bedrock", ".amazonaws.com", "aws.bedrock"),
    ("bedrock", ".amazonaws.com.cn", "aws.bedrock"),
    ("bedrock", ".api.aws", "aws.bedrock"),
    ("oai.helicone.ai", "", DEFAULT),
)
"""Hosts that name a region or a role in their first label: (prefix, suffix, vendor). Looked at before the domains."""

OF_NO_FORMAT: Final[dict[str, str]] = {
    "openai.com": DEFAULT,
    "helicone.ai": "helicone",
    "googleapis.com": "gcp",
    "github.com": "github",
    "ghe.com": "github",
    "claude.com": "anthropic",
    "claude.ai": "anthropic",
}
"""Domains whose owner is known, and the table of vendors does not tell it. They come after that table."""

_AWS: Final = re.compile(
    r"bedrock(?:-runtime|-agent|-agent-runtime|-mantle)?(?:-fips)?\.[a-z]{2,3}(?:-[a-z]+)+-[0-9]\."
    r"(?:amazonaws\.com(?:\.cn)?|api\.aws)"
)

_cache: dict[str, str] = {}


def provider_name(host: str, port: int | None, path: str) -> str:
    """The vendor at a host (any letter case), with the port and path deciding where the host alone does not.

    Azure serves both of its APIs from one host: a path under `/openai/` is Azure OpenAI. A path with
    `/openai/deployments/` is Azure OpenAI on any host (custom domains, API gateways).
    """
    name = _cache.get(host)
    if name is None:
        name = _remember(host)
    if name == DEFAULT:
        if port == OLLAMA_PORT:
            return "ollama"
        return AZURE_OPENAI if "/openai/deployments/" in path else DEFAULT
    return AZURE_OPENAI if name == AZURE_INFERENCE and path.startswith("/openai/") else name


def is_known(host: str) -> bool:
    """True when the host belongs to a vendor of the table, or to OpenAI itself."""
    return f".{host.lower()}".endswith(".openai.com") or (_cache.get(host) or _remember(host)) != DEFAULT


def owner(host: str) -> str | None:
    """Whose host it is (lower case, no dot at its end), strictly: None where a customer may have named it.

    Anyone can have a load balancer or a bucket called `bedrock-x` under amazonaws.com.
    """
    name = _cache.get(host) or _remember(host)
    if name == "aws.bedrock":
        return name if _AWS.fullmatch(host) else None
    return name if name != DEFAULT else _under(host, OF_NO_FORMAT)


def _remember(host: str) -> str:
    """Look a host up and keep the answer; the cache is emptied when full, so hostile host names cannot grow it."""
    name = _look_up(host[-HOST_LIMIT:].lower().rstrip("."))
    if len(_cache) >= CACHE_LIMIT:
        _cache.clear()
    _cache[host] = name
    return name


def _look_up(host: str) -> str:
    for prefix, suffix, name in REGIONAL:
        if host.startswith(prefix) and host.endswith(suffix):
            return name
    return _under(host, DOMAINS) or DEFAULT


def _under(host: str, table: dict[str, str]) -> str | None:
    """What the table says of the longest domain that a host is in."""
    domain = host
    while domain:
        if domain in table:
            return table[domain]
        domain = domain.partition(".")[2]
    return None
