"""A request and an answer of the Messages API with every common part, and what is to be read from them."""

from __future__ import annotations

import json
from typing import Any

from wire_formats import pieces

REQUEST: dict[str, Any] = {
    "model": "claude-x",
    "max_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "stop_sequences": ["END"],
    "service_tier": "auto",
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {}}},
    "stream": True,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "tools": [
        {
            "name": "look_up",
            "description": "Looks things up",
            "input_schema": {"type": "object", "properties": {"q": {"type": "string", "description": "what"}}},
        },
        {"type": "web_search_20260318", "name": "web_search"},
    ],
    "messages": [
        {"role": "user", "content": "hello"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see these"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "document", "title": "T", "context": "C", "source": {"type": "text", "data": "plain"}},
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "inner"}]}},
                {"type": "document", "source": {"type": "base64", "data": "AAAA"}},
                {
                    "type": "search_result",
                    "source": "https://x",
                    "title": "R",
                    "content": [{"type": "text", "text": "hit"}],
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hmm", "signature": "abc"},
                {"type": "redacted_thinking", "data": "opaque"},
                {"type": "text", "text": "calling"},
                {"type": "tool_use", "id": "t1", "name": "look_up", "input": {"q": "x"}},
                {"type": "server_tool_use", "id": "t2", "name": "web_search", "input": {"query": "y"}},
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "t2",
                    "content": [
                        {"type": "web_search_result", "url": "https://y", "title": "Y", "encrypted_content": "zzz"}
                    ],
                },
                {
                    "type": "bash_code_execution_tool_result",
                    "tool_use_id": "t3",
                    "content": {
                        "type": "bash_code_execution_result",
                        "stdout": "out",
                        "stderr": "err",
                        "return_code": 0,
                    },
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "found"},
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [
                        {"type": "text", "text": "more"},
                        {"type": "image", "source": {"type": "url", "url": "https://i"}},
                        {"type": "document", "source": {"type": "text", "data": "page"}},
                    ],
                },
            ],
        },
        {"role": "system", "content": "be careful now"},
    ],
}
SEGMENTS = [
    ("/system/0/text", "Be brief.", "system", "text", None),
    ("/messages/0/content", "hello", "user", "text", None),
    ("/messages/1/content/0/text", "see these", "user", "text", None),
    ("/messages/1/content/2/title", "T", "data", "text", None),
    ("/messages/1/content/2/context", "C", "data", "text", None),
    ("/messages/1/content/2/source/data", "plain", "data", "text", None),
    ("/messages/1/content/3/source/content/0/text", "inner", "data", "text", None),
    ("/messages/1/content/5/title", "R", "data", "text", None),
    ("/messages/1/content/5/content/0/text", "hit", "data", "text", None),
    ("/messages/2/content/0/thinking", "hmm", "assistant", "reasoning", None),
    ("/messages/2/content/2/text", "calling", "assistant", "text", None),
    ("/messages/2/content/3/input", '{"q":"x"}', "assistant", "tool_call", "look_up"),
    ("/messages/2/content/4/input", '{"query":"y"}', "assistant", "tool_call", "web_search"),
    ("/messages/2/content/5/content/0/url", "https://y", "data", "tool_result", "web_search"),
    ("/messages/2/content/5/content/0/title", "Y", "data", "tool_result", "web_search"),
    ("/messages/2/content/6/content/stdout", "out", "tool", "tool_result", None),
    ("/messages/2/content/6/content/stderr", "err", "tool", "tool_result", None),
    ("/messages/3/content/0/content", "found", "tool", "tool_result", "look_up"),
    ("/messages/3/content/1/content/0/text", "more", "tool", "tool_result", "look_up"),
    ("/messages/3/content/1/content/2/source/data", "page", "tool", "tool_result", "look_up"),
    ("/messages/4/content", "be careful now", "system", "text", None),
    (
        "/tools/0",
        'Looks things up\n{"type":"object","properties":{"q":{"type":"string","description":"what"}}}',
        "system",
        "tool_definition",
        "look_up",
    ),
]

THOUGHT, SAID, ARGUMENTS = "Let me think.", "Grüße, 😀!", '{"city":"Bern","days":[1,2]}'
USAGE = {
    "input_tokens": 10,
    "output_tokens": 30,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 1000,
    "output_tokens_details": {"thinking_tokens": 7},
    "service_tier": "standard",
}
SEARCH_RESULT = {
    "type": "web_search_tool_result",
    "tool_use_id": "s",
    "content": [{"type": "web_search_result", "url": "https://y", "title": "Y", "encrypted_content": "zzz"}],
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x-2026",
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "content": [
        {"type": "thinking", "thinking": THOUGHT, "signature": "s"},
        {"type": "text", "text": SAID, "citations": None},
        {"type": "tool_use", "id": "t", "name": "weather", "input": json.loads(ARGUMENTS)},
        SEARCH_RESULT,
    ],
    "usage": USAGE,
}


def streamed(size: int = 3) -> list[tuple[str, Any]]:
    """The message above as the API streams it."""
    start = {**MESSAGE, "content": [], "stop_reason": None, "usage": {**USAGE, "output_tokens": 1}}
    del start["usage"]["output_tokens_details"]
    blocks: list[tuple[dict[str, Any], str, str, str]] = [
        ({"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", "thinking", THOUGHT),
        ({"type": "text", "text": ""}, "text_delta", "text", SAID),
        (
            {"type": "tool_use", "id": "t", "name": "weather", "input": {}},
            "input_json_delta",
            "partial_json",
            ARGUMENTS,
        ),
        (SEARCH_RESULT, "", "", ""),
    ]
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for at, (block, sort, field, text) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": at, "content_block": block})
        deltas = [{"type": sort, field: piece} for piece in pieces(text, size)]
        if sort == "thinking_delta":
            deltas.append({"type": "signature_delta", "signature": "s"})
        events += [{"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": at})
    final = {"output_tokens": 30, "output_tokens_details": {"thinking_tokens": 7}}
    events.append(
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": final}
    )
    events.append({"type": "message_stop"})
    return [(event["type"], event) for event in events]
