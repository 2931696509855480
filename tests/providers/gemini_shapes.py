"""A request and an answer of the Gemini API with every common part, and what is to be read from them."""

from __future__ import annotations

from typing import Any

from wire_formats import pieces

REQUEST: dict[str, Any] = {
    "systemInstruction": {"role": "user", "parts": [{"text": "Be brief."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "hello"},
                {"inlineData": {"data": "AAAA", "mime_type": "image/png"}},
                {"fileData": {"file_uri": "gs://x", "mime_type": "a/b"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "hmm", "thought": True},
                {"functionCall": {"name": "look_up", "args": {"q": "x"}}, "thoughtSignature": "abc"},
                {"executableCode": {"code": "print(1)", "language": "PYTHON"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
                {"thoughtSignature": "abc"},
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "name": "look_up",
                        "response": {"result": ["found", {"a/b": "more"}], "card": 4111111111111111, "ok": True},
                        "parts": [{"inlineData": {"data": "AAAA", "mimeType": "image/png"}}],
                    }
                }
            ],
        },
        {"parts": [{"text": "no role"}]},
    ],
    "tools": [
        {"googleSearch": {}},
        {
            "functionDeclarations": [
                {
                    "name": "look_up",
                    "description": "Looks things up",
                    "parameters": {"type": "OBJECT", "properties": {"q": {"type": "STRING", "description": "what"}}},
                }
            ]
        },
    ],
    "cachedContent": "cachedContents/abc",
    "serviceTier": "flex",
    "generationConfig": {
        "temperature": 0.1,
        "topP": 0.5,
        "topK": 3.0,
        "candidateCount": 2,
        "maxOutputTokens": 5,
        "stopSequences": ["x"],
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "seed": 3,
        "responseMimeType": "application/json",
        "thinkingConfig": {"include_thoughts": True, "thinkingLevel": "HIGH"},
    },
}
SEGMENTS = [
    ("/systemInstruction/parts/0/text", "Be brief.", "system", "text", None),
    ("/contents/0/parts/0/text", "hello", "user", "text", None),
    ("/contents/1/parts/0/text", "hmm", "assistant", "reasoning", None),
    ("/contents/1/parts/1/functionCall/args", '{"q":"x"}', "assistant", "tool_call", "look_up"),
    ("/contents/1/parts/2/executableCode/code", "print(1)", "assistant", "tool_call", "code_execution"),
    ("/contents/1/parts/3/codeExecutionResult/output", "1", "tool", "tool_result", "code_execution"),
    ("/contents/2/parts/0/functionResponse/response/result/0", "found", "tool", "tool_result", "look_up"),
    ("/contents/2/parts/0/functionResponse/response/result/1/a~1b", "more", "tool", "tool_result", "look_up"),
    ("/contents/2/parts/0/functionResponse/response/card", "4111111111111111", "tool", "tool_result", "look_up"),
    ("/contents/3/parts/0/text", "no role", "user", "text", None),
    (
        "/tools/1/functionDeclarations/0",
        'Looks things up\n{"type":"OBJECT","properties":{"q":{"type":"STRING","description":"what"}}}',
        "system",
        "tool_definition",
        "look_up",
    ),
]

THOUGHT, SAID, AFTER = "Let me think.", "Grüße, 😀!", "That was it."
USAGE = {
    "promptTokenCount": 10,
    "toolUsePromptTokenCount": 5,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 7,
    "cachedContentTokenCount": 4,
    "totalTokenCount": 42,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 10}],
}
CALL = {"functionCall": {"name": "weather", "args": {"city": "Bern"}}}
ANSWER: dict[str, Any] = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": THOUGHT, "thought": True},
                    {"text": SAID},
                    CALL,
                    {"executableCode": {"code": "print(2)", "language": "PYTHON"}},
                    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
                    {"inlineData": {"data": "AAAA", "mimeType": "image/png"}},
                    {"text": AFTER},
                ],
            },
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": USAGE,
    "modelVersion": "gemini-x-001",
    "responseId": "resp-1",
}
SEGMENTS_OUT = [
    ("/candidates/0/content/parts/0/text", THOUGHT, "reasoning", None),
    ("/candidates/0/content/parts/1/text", SAID, "text", None),
    ("/candidates/0/content/parts/2/functionCall/args", '{"city":"Bern"}', "tool_call", "weather"),
    ("/candidates/0/content/parts/3/executableCode/code", "print(2)", "tool_call", "code_execution"),
    ("/candidates/0/content/parts/4/codeExecutionResult/output", "2", "tool_result", "code_execution"),
    ("/candidates/0/content/parts/6/text", AFTER, "text", None),
]


def chunk(parts: list[dict[str, Any]], index: int = 0, **more: Any) -> dict[str, Any]:
    """A streamed response with the next parts of one candidate."""
    candidate = {"content": {"role": "model", "parts": parts}, "index": index, **more}
    counts = {"promptTokenCount": 10, "toolUsePromptTokenCount": 5, "totalTokenCount": 15}
    return {
        "candidates": [candidate],
        "usageMetadata": counts,
        "modelVersion": "gemini-x-001",
        "responseId": "resp-1",
    }


def streamed(size: int = 3) -> list[dict[str, Any]]:
    """The answer above as the API streams it."""
    parts = ANSWER["candidates"][0]["content"]["parts"]
    chunks = [chunk([{"text": piece, "thought": True}]) for piece in pieces(THOUGHT, size)]
    chunks += [chunk([{"text": piece}]) for piece in pieces(SAID, size)]
    chunks += [chunk([part]) for part in parts[2:6]]
    chunks += [chunk([{"text": piece}]) for piece in pieces(AFTER, size)]
    chunks.append({**chunk([{"text": ""}], finishReason="STOP"), "usageMetadata": USAGE})
    return chunks
