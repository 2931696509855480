"""Whose a host is, strictly: what a customer may have named is nobody's."""

from __future__ import annotations

import pytest

from llmtrace_sdk import providers


@pytest.mark.parametrize(
    ("host", "owner"),
    [
        ("api.openai.com", "openai"),
        ("api.anthropic.com", "anthropic"),
        ("oai.helicone.ai", "helicone"),
        ("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("firebasevertexai.googleapis.com", "gcp"),
        ("my-resource.openai.azure.com", "azure.ai.openai"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "aws.bedrock"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "aws.bedrock"),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "aws.bedrock"),
        ("bedrock-mantle.us-east-1.api.aws", "aws.bedrock"),
        ("bedrock-x-123.us-east-1.elb.amazonaws.com", None),
        ("bedrock-x.s3.amazonaws.com", None),
        ("bedrock.s3.amazonaws.com", None),
        ("bedrock.s3-us-west-2.amazonaws.com", None),
        ("bedrock.evil.example", None),
        ("openai.com.evil.example", None),
        ("notopenai.com", None),
        ("localhost", None),
        ("", None),
    ],
)
def test_owner(host: str, owner: str | None) -> None:
    assert providers.owner(host) == owner
