from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_answers import (
    ANY,
    JSON,
    OBJECTS,
    assert_pointers,
    facts,
    read_whole,
    repeatable,
)
from openai_chat_shapes import ANSWER
from wire_formats import assert_reads_or_refuses

from llmtrace_sdk.core.model import Usage
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers.openai_chat import PROVIDER


class TestWholeAnswer:
    def test_plain(self) -> None:
        reader, segments = read_whole(PROVIDER, ANSWER)
        assert [(s.text, s.pointer, s.kind, s.channel) for s in segments] == [
            ("Hello", "/choices/0/message/content", "text", "assistant")
        ]
        assert facts(reader) == ("gpt-x-2026", "chatcmpl-1", ["stop"], Usage(20, 9, 16, 2, 5), None, "default")

    def test_everything_a_message_can_hold(self) -> None:
        message = {
            "role": "assistant",
            "content": "c",
            "reasoning_content": "r",
            "reasoning": "the same r",
            "refusal": "no",
            "audio": {"id": "a", "data": "AAAA", "transcript": "spoken"},
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "2", "type": "custom", "custom": {"name": "g", "input": "in"}},
                {"id": "3", "type": "function", "function": {"name": "h", "arguments": {"k": "v"}}},
                {"id": "4", "type": "function", "function": {"name": "bare", "arguments": ""}},
            ],
        }
        payload = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
        _, segments = read_whole(PROVIDER, payload)
        base = "/choices/0/message"
        assert [(s.pointer.removeprefix(base), s.text, s.kind, s.name) for s in segments] == [
            ("/reasoning_content", "r", "reasoning", None),
            ("/content", "c", "text", None),
            ("/refusal", "no", "refusal", None),
            ("/audio/transcript", "spoken", "text", None),
            ("/tool_calls/0/function/arguments", "{}", "tool_call", "f"),
            ("/tool_calls/1/custom/input", "in", "tool_call", "g"),
            ("/tool_calls/2/function/arguments", '{"k":"v"}', "tool_call", "h"),
            ("/tool_calls/3/function/arguments", "", "tool_call", "bare"),
        ]
        assert_pointers(payload, segments)

    def test_content_in_parts(self) -> None:
        content = [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "a"},
            {"type": "reference", "reference_ids": [1]},
            {"type": "text", "text": "b"},
        ]
        payload = {"choices": [{"message": {"content": content}}]}
        _, segments = read_whole(PROVIDER, payload)
        assert [(s.text, s.kind) for s in segments] == [("hm", "reasoning"), ("a", "text"), ("b", "text")]
        assert_pointers(payload, segments)

    @pytest.mark.parametrize(
        ("message", "said"),
        [
            ({"reasoning": "x"}, "x"),
            ({"reasoning_details": [{"type": "reasoning.text", "text": "x", "id": "i"}]}, "x"),
            ({"reasoning_details": [{"type": "reasoning.summary", "summary": "x"}]}, "x"),
        ],
    )
    def test_spellings_of_reasoning(self, message: dict[str, Any], said: str) -> None:
        _, (segment,) = read_whole(PROVIDER, {"choices": [{"message": message}]})
        assert (segment.text, segment.kind) == (said, "reasoning")

    def test_several_choices_and_reasons_in_their_order(self) -> None:
        choices = [{"index": n, "message": {"content": f"c{n}"}, "finish_reason": f"r{n}"} for n in (0, 1, 2)]
        reader, segments = read_whole(PROVIDER, {"choices": choices})
        assert [(s.text, s.pointer) for s in segments] == [
            (f"c{n}", f"/choices/{n}/message/content") for n in (0, 1, 2)
        ]
        assert reader.finish_reasons == ["r0", "r1", "r2"]

    def test_choices_that_claim_one_index_are_all_read(self) -> None:
        choices = [{"index": 0, "message": {"content": text}} for text in ("a", "b")]
        _, segments = read_whole(PROVIDER, {"choices": choices})
        assert [s.text for s in segments] == ["a", "b"]

    @pytest.mark.parametrize(
        ("usage", "expected"),
        [
            ({"prompt_tokens": 1, "completion_tokens": 2}, Usage(1, 2)),
            ({"input_tokens": 1, "output_tokens": 2}, Usage(1, 2)),
            ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}, Usage(9, 2, 4)),
            ({"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 4}, Usage(9, 2, 4)),
            ({"prompt_tokens": 9, "completion_tokens": 2, "reasoning_tokens": 1}, Usage(9, 2, None, None, 1)),
            (
                {
                    "prompt_tokens": 9,
                    "completion_tokens": 2,
                    "total_tokens": 111,
                    "completion_tokens_details": {"reasoning_tokens": 100},
                },
                Usage(9, 102, None, None, 100),
            ),
            (
                {"prompt_tokens": 0, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0}},
                Usage(0, 0, 0),
            ),
            ({"prompt_tokens": -1, "completion_tokens": "2"}, Usage()),
            ({"prompt_tokens": True, "prompt_tokens_details": 3}, Usage()),
            (None, Usage()),
            ([], Usage()),
        ],
    )
    def test_usage(self, usage: Any, expected: Usage) -> None:
        reader, _ = read_whole(PROVIDER, {"choices": [], "usage": usage})
        assert reader.usage == expected

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (
                {"error": {"message": "m", "type": "invalid_request_error", "code": "model_not_found"}},
                "model_not_found",
            ),
            ({"error": {"message": "m", "type": "invalid_request_error", "code": None}}, "invalid_request_error"),
            ({"error": {"message": "m", "code": 402}}, "402"),
            ({"error": {"message": "m", "code": 400, "status": "INVALID_ARGUMENT"}}, "INVALID_ARGUMENT"),
            ([{"error": {"message": "m", "code": 400, "status": "INVALID_ARGUMENT"}}], "INVALID_ARGUMENT"),
            ({"error": {"message": "m", "code": "429", "type": None}}, "429"),
            ({"error": {"message": "m", "code": "429", "type": "rate_limit"}}, "rate_limit"),
            ({"error": {"message": "secret text"}}, "_OTHER"),
            ({"error": {"code": "a whole sentence of text", "type": "x" * 500}}, "_OTHER"),
            ({"error": "secret text"}, "_OTHER"),
            ({"error": "secret text", "error_type": "overloaded"}, "overloaded"),
            ({"object": "error", "message": "m", "type": "BadRequestError", "code": 400}, "BadRequestError"),
            ({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}, "overloaded_error"),
            ({"detail": "Not authenticated"}, "_OTHER"),
            ({"detail": [{"type": "missing", "msg": "secret"}]}, "_OTHER"),
            ({"message": "Unauthorized"}, "_OTHER"),
            ({"statusCode": 401, "message": "m"}, "401"),
        ],
    )
    def test_error_bodies(self, body: Any, code: str) -> None:
        reader, segments = read_whole(PROVIDER, body)
        assert (reader.error_type, segments) == (code, ())

    def test_error_of_a_choice(self) -> None:
        choice = {"message": {"content": "ha"}, "finish_reason": "error", "error": {"code": 502, "message": "m"}}
        reader, segments = read_whole(PROVIDER, {"choices": [choice]})
        assert (reader.error_type, [s.text for s in segments]) == ("502", ["ha"])

    @pytest.mark.parametrize("body", [None, 7, "x", [], [1, 2], {}, {"hello": 1}, {"choices": 3}, {"choices": None}])
    def test_unknown_shape(self, body: Any) -> None:
        with pytest.raises(Unreadable) as caught:
            read_whole(PROVIDER, body)
        assert caught.value.reason == "unknown_shape"

    @repeatable
    @given(JSON | OBJECTS | st.fixed_dictionaries({"choices": st.lists(OBJECTS, max_size=3)}))
    def test_any_json_is_read_or_unreadable(self, body: Any) -> None:
        reader = PROVIDER.reader(ANY)
        assert_reads_or_refuses(lambda: reader.body(body), reader)
