"""What vendors and models are called here, and in price lists."""

from __future__ import annotations

import re
from typing import Final

LISTED: Final[dict[str, str]] = {
    "anthropic": "anthropic",
    "arcee": "arcee",
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "baseten": "baseten",
    "cerebras": "cerebras",
    "cloudflare": "cloudflare",
    "cohere": "cohere",
    "databricks": "databricks",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "groq": "groq",
    "meta": "meta",
    "minimax": "minimax",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "ovhcloud": "ovhcloud",
    "perplexity": "perplexity",
    "together": "together",
    "voyage": "voyageai",
    "x_ai": "x-ai",
    "zhipu": "zai",
}
"""gen_ai.provider.name -> the vendor's name in the list."""

_VERSION: Final = re.compile(r"[-@:](?:20\d\d-?[01]\d-?[0-3]\d|latest)$|@[a-z0-9.-]{1,32}$", re.ASCII)
"""Endings that tell which edition of a model it is, never which model."""

_COMPACT_DATE: Final = re.compile(r"-(20\d\d)([01]\d)([0-3]\d)(?=[-:]|$)", re.ASCII)


def spellings(model: str) -> tuple[str, ...]:
    """What a list may call a model: as it is, without the path before it, with a plain date, without its edition.

    Nothing else is taken off: a name that merely begins like another is another model.
    """
    name = model.strip().lower()
    plain = name.rpartition("/")[2]
    found = [name, plain]
    for known in (name, plain):
        found.append(_COMPACT_DATE.sub(r"-\1-\2-\3", known))
        found.append(_VERSION.sub("", known))
    return tuple(dict.fromkeys(spelling for spelling in found if spelling))
