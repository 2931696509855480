"""Names that other instrumentations give, older ones among them; those of today are in `llmtrace_sdk.telemetry.names`.

Sources: OpenTelemetry GenAI semantic conventions 1.26 (prompt and completion events), 1.28 to 1.36 (`gen_ai.system`,
an event for each message) and 1.37; OpenLLMetry (numbered prompts and completions); LLMTrace's proxy.
"""

from __future__ import annotations

from typing import Final

from llmtrace_sdk.telemetry import names

PREFIXES: Final = ("gen_ai.", "llmtrace.")
"""What the attributes of calls begin with."""

PROVIDER: Final = (names.PROVIDER, "gen_ai.system")
REQUEST_MODEL: Final = (names.REQUEST_MODEL, names.RESPONSE_MODEL)
INPUT_TOKENS: Final = (names.USAGE_INPUT_TOKENS, "gen_ai.usage.prompt_tokens")
OUTPUT_TOKENS: Final = (names.USAGE_OUTPUT_TOKENS, "gen_ai.usage.completion_tokens")
CACHE_WRITE_TOKENS: Final = (names.USAGE_CACHE_WRITE_TOKENS, "gen_ai.usage.cache_creation.input_tokens")
HTTP_STATUS: Final = (names.HTTP_STATUS, "http.status_code")
SESSION: Final = (names.SESSION_ID, names.CONVERSATION_ID)
USER: Final = (names.ENDUSER_ID, "user.id")
AGENT: Final = (names.AGENT_NAME, "gen_ai.agent.id")

OLD_PROMPT: Final = "gen_ai.prompt"
OLD_COMPLETION: Final = "gen_ai.completion"
PROMPT_EVENT: Final = "gen_ai.content.prompt"
COMPLETION_EVENT: Final = "gen_ai.content.completion"
MESSAGE_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
CHOICE_EVENT: Final = "gen_ai.choice"
EVENT_BODY: Final = "gen_ai.event.content"

TOOL_USE: Final = "execute_tool"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"

SCOPE: Final = "otel.scope.name"

INFERENCE: Final = frozenset({"", "chat", "text_completion", "generate_content", "embeddings"})
"""Operations that a model is paid for. Others (`invoke_agent`, ...) tell the sum of what is within them."""

PROVIDERS: Final = {
    "amazon_bedrock": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azureopenai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""Other names of vendors -> theirs in the conventions of today."""
