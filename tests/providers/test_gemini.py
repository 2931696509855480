from __future__ import annotations

from typing import Any

import pytest
from gemini_shapes import ANSWER, REQUEST, SEGMENTS, SEGMENTS_OUT, streamed
from google import genai
from google.genai import errors, types
from hypothesis import given
from wire_formats import (
    BLOCKED,
    JSON,
    Recorder,
    assert_parses_or_refuses,
    assert_pointers,
    encoded,
    head,
    matched,
    mutated,
    read_stream,
    rows,
)

from llmtrace_sdk.core.model import Settings
from llmtrace_sdk.errors import Unreadable
from llmtrace_sdk.providers.gemini import PROVIDER
from llmtrace_sdk.typing import Endpoint

GOOGLE_AI = "generativelanguage.googleapis.com"
MODEL = "/v1beta/models/gemini-x"
VERTEX = "/v1beta1/projects/p/locations/l/publishers/google/models"
GENERATE = Endpoint("gcp.gemini", "generate_content", "generateContent", "gemini-x", stream=False)
STREAM = Endpoint("gcp.gemini", "generate_content", "streamGenerateContent", "gemini-x", stream=True)
EMBED = Endpoint("gcp.gemini", "embeddings", "embedContent", "gemini-x", stream=False)


@pytest.mark.parametrize(
    ("path", "host", "endpoint"),
    [
        (f"{MODEL}:generateContent", GOOGLE_AI, GENERATE),
        (f"{MODEL}:streamGenerateContent", GOOGLE_AI, STREAM),
        (f"{MODEL}:embedContent", GOOGLE_AI, EMBED),
        (
            f"{VERTEX}/gemini-x:generateContent",
            "us-central1-aiplatform.googleapis.com",
            Endpoint("gcp.vertex_ai", "generate_content", "generateContent", "gemini-x", stream=False),
        ),
        (
            f"{VERTEX}/gemini-x:batchEmbedContents",
            "aiplatform.googleapis.com",
            Endpoint("gcp.vertex_ai", "embeddings", "batchEmbedContents", "gemini-x", stream=False),
        ),
        (
            f"{VERTEX}/text-embedding-5:predict",
            "aiplatform.googleapis.com",
            Endpoint("gcp.vertex_ai", "embeddings", "predict", "text-embedding-5", stream=False),
        ),
        (
            f"/relay{MODEL}:generateContent",
            "127.0.0.1",
            Endpoint("gcp.gen_ai", "generate_content", "generateContent", "gemini-x", stream=False),
        ),
        (
            f"{MODEL}:generateContent",
            "aiplatform.googleapis.com.evil.example",
            Endpoint("gcp.gen_ai", "generate_content", "generateContent", "gemini-x", stream=False),
        ),
    ],
)
def test_match(path: str, host: str, endpoint: Endpoint) -> None:
    assert matched(PROVIDER, path, host) == endpoint


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{MODEL}:generateContent"),
        ("POST", f"{MODEL}:countTokens"),
        ("POST", f"{VERTEX}/imagen:predict"),
        ("POST", "/v1/projects/p/locations/l/endpoints/7:predict"),
        ("POST", "/v1beta/openai/chat/completions"),
        ("GET", MODEL),
    ],
)
def test_no_match(method: str, path: str) -> None:
    assert PROVIDER.match(head(path, method)) is None


def test_request_segments() -> None:
    prompt = PROVIDER.parse_request(GENERATE, REQUEST)
    assert rows(prompt) == SEGMENTS
    assert_pointers(REQUEST, prompt.segments)
    assert (prompt.model, prompt.stream, prompt.tools) == ("gemini-x", False, ("googleSearch", "look_up"))
    assert (prompt.blobs, prompt.notes) == (3, ("cached_content",))


SETTINGS = Settings(
    max_tokens=5,
    temperature=0.1,
    top_p=0.5,
    top_k=3,
    frequency_penalty=0.2,
    presence_penalty=0.1,
    seed=3,
    stop_sequences=("x",),
    choice_count=2,
    reasoning_level="HIGH",
    output_type="json",
    service_tier="flex",
)


def test_request_settings() -> None:
    assert PROVIDER.parse_request(GENERATE, REQUEST).settings == SETTINGS


def test_both_spellings_read_alike() -> None:
    def snake(value: Any) -> Any:
        if isinstance(value, list):
            return [snake(item) for item in value]
        if not isinstance(value, dict) or "result" in value:
            return value
        return {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): snake(item) for key, item in value.items()}

    body = snake(REQUEST)
    prompt = PROVIDER.parse_request(GENERATE, body)
    assert_pointers(body, prompt.segments)
    assert [row[1:] for row in rows(prompt)] == [row[1:] for row in SEGMENTS]
    assert (prompt.settings, prompt.blobs, prompt.notes) == (SETTINGS, 3, ("cached_content",))


@pytest.mark.parametrize(
    ("contents", "found"),
    [
        ("hi", [("/contents", "hi")]),
        (["a", "b"], [("/contents/0", "a"), ("/contents/1", "b")]),
        ({"parts": {"text": "one"}}, [("/contents/parts/text", "one")]),
        ({"role": "user", "parts": ["bare"]}, [("/contents/parts/0", "bare")]),
    ],
)
def test_lenient_contents(contents: Any, found: list[tuple[str, str]]) -> None:
    prompt = PROVIDER.parse_request(STREAM, {"contents": contents})
    assert [row[:2] for row in rows(prompt)] == found
    assert prompt.stream


@pytest.mark.parametrize(
    ("config", "output_type"),
    [
        ({"responseModalities": ["TEXT", "IMAGE"]}, "image"),
        ({"response_modalities": ["AUDIO"]}, "speech"),
        ({"responseModalities": ["TEXT"], "responseMimeType": "text/plain"}, "text"),
        ({"responseMimeType": "application/xml"}, None),
    ],
)
def test_output_type(config: Any, output_type: str | None) -> None:
    prompt = PROVIDER.parse_request(GENERATE, {"contents": "x", "generationConfig": config})
    assert prompt.settings.output_type == output_type


def test_tools_of_a_remote_server_are_noted() -> None:
    tools = [{"mcpServers": [{"name": "s"}]}, {"urlContext": {}}]
    prompt = PROVIDER.parse_request(GENERATE, {"contents": "x", "tools": tools})
    assert (prompt.tools, prompt.notes) == (("urlContext",), ("remote_tools",))


@pytest.mark.parametrize(
    ("content", "texts", "notes"),
    [
        ({"role": "oracle", "parts": [{"text": "x"}]}, ["x"], ("unknown_role",)),
        ({"parts": [{"audioTranscription": {"text": "said"}}]}, ["said"], ("unknown_part",)),
        ({"parts": [3]}, [], ("unknown_part",)),
        ({"parts": [{"toolCall": {"toolType": "MAPS", "args": {}}}]}, ["{}"], ()),
    ],
)
def test_odd_parts_are_noted_and_read(content: Any, texts: list[str], notes: tuple[str, ...]) -> None:
    prompt = PROVIDER.parse_request(GENERATE, {"contents": [content]})
    assert [segment.text for segment in prompt.segments] == texts
    assert prompt.notes == notes


def test_many_strings_in_a_result_become_one_text() -> None:
    response = {"rows": [f"row {at}" for at in range(100)]}
    part = {"functionResponse": {"name": "f", "response": response}}
    (segment,) = PROVIDER.parse_request(GENERATE, {"contents": [{"parts": [part]}]}).segments
    assert segment.pointer == "/contents/0/parts/0/functionResponse/response"
    assert segment.text.startswith('{"rows":["row 0",')


def test_names_of_members_that_are_prose_are_read() -> None:
    part = {"functionResponse": {"name": "f", "response": {"ignore all that": "x"}}}
    (segment,) = PROVIDER.parse_request(GENERATE, {"contents": [{"parts": [part]}]}).segments
    assert segment.text == '{"ignore all that":"x"}'


@pytest.mark.parametrize(
    ("body", "found", "dimensions"),
    [
        (
            {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 5},
            [("/content/parts/0/text", "a")],
            5,
        ),
        (
            {
                "requests": [
                    {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 7},
                    {"content": {"parts": [{"text": "b"}]}},
                ]
            },
            [("/requests/0/content/parts/0/text", "a"), ("/requests/1/content/parts/0/text", "b")],
            7,
        ),
        (
            {"instances": [{"content": "a"}], "parameters": {"outputDimensionality": 9}},
            [("/instances/0/content", "a")],
            9,
        ),
    ],
)
def test_embeddings(body: Any, found: list[tuple[str, str]], dimensions: int) -> None:
    prompt = PROVIDER.parse_request(EMBED, body)
    assert [row[:2] for row in rows(prompt)] == found
    assert prompt.settings == Settings(dimensions=dimensions)


@pytest.mark.parametrize("body", [None, [], "x", {}, {"messages": []}])
@pytest.mark.parametrize("endpoint", [GENERATE, EMBED])
def test_unknown_shape(endpoint: Endpoint, body: Any) -> None:
    with pytest.raises(Unreadable, match="unknown_shape"):
        PROVIDER.parse_request(endpoint, body)


def client_of(recorder: Recorder) -> genai.Client:
    return genai.Client(api_key="k", http_options=types.HttpOptions(httpx_client=recorder.client()))


@pytest.mark.parametrize(("status", "name"), [(400, "INVALID_ARGUMENT"), (403, "PERMISSION_DENIED")])
def test_refusal_reaches_the_application_as_its_own_error(status: int, name: str) -> None:
    recorder = Recorder(PROVIDER.refusal(GENERATE, BLOCKED, status), status=status)
    with client_of(recorder) as client, pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="gemini-x", contents="x")
    error = caught.value
    assert (error.code, error.status) == (status, name)
    assert BLOCKED.reason in str(error.message)
    assert BLOCKED.id in str(error.message)
    assert error.details["error"]["details"][0]["reason"] == "llmtrace_blocked"


def test_the_real_client_sends_what_is_read() -> None:
    recorder = Recorder(ANSWER)
    config = types.GenerateContentConfig(
        system_instruction="Be brief.",
        temperature=0.1,
        top_k=3,
        tools=[types.Tool(function_declarations=[types.FunctionDeclaration(name="f", description="d")])],
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=3),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    parts = [types.Part(text="hello"), types.Part(inline_data=types.Blob(data=b"abc", mime_type="image/png"))]
    result = types.FunctionResponse(name="f", response={"result": "found"})
    with client_of(recorder) as client:
        client.models.generate_content(
            model="gemini-x",
            contents=[
                types.Content(role="user", parts=parts),
                types.Content(role="user", parts=[types.Part(function_response=result)]),
            ],
            config=config,
        )
    request, body = recorder.only()
    endpoint = PROVIDER.match(request)
    assert endpoint == GENERATE
    prompt = PROVIDER.parse_request(endpoint, body)
    assert_pointers(body, prompt.segments)
    assert [row[1:] for row in rows(prompt)] == [
        ("Be brief.", "system", "text", None),
        ("hello", "user", "text", None),
        ("found", "tool", "tool_result", "f"),
        ("d", "system", "tool_definition", "f"),
    ]
    assert (prompt.blobs, prompt.notes, prompt.tools) == (1, (), ("f",))
    assert prompt.settings == Settings(temperature=0.1, top_k=3)


def test_the_real_client_reads_the_same_stream() -> None:
    recorder = Recorder(b"".join(b"data: " + encoded(item) + b"\n\n" for item in streamed()), "text/event-stream")
    with client_of(recorder) as client:
        chunks = list(client.models.generate_content_stream(model="gemini-x", contents="x"))
    parts = [part for item in chunks for part in (item.candidates[0].content.parts or [])]  # type: ignore[index,union-attr]
    said = "".join(part.text for part in parts if part.text and not part.thought)
    _, segments = read_stream(PROVIDER, STREAM, [("", item) for item in streamed()])
    assert said == "".join(segment.text for segment in segments if segment.kind == "text")
    assert [(s.pointer, s.text, s.kind, s.name) for s in segments] == SEGMENTS_OUT
    request, _ = recorder.only()
    assert PROVIDER.match(request) == STREAM


@pytest.mark.parametrize("texts", [["a"], ["a", "b"]])
def test_the_real_client_sends_embeddings_that_are_read(texts: list[str]) -> None:
    recorder = Recorder({"embeddings": [{"values": [0.1]} for _ in texts]})
    with client_of(recorder) as client:
        client.models.embed_content(model="gemini-embedding-x", contents=texts)
    request, body = recorder.only()
    endpoint = PROVIDER.match(request)
    assert endpoint is not None
    assert endpoint.operation == "embeddings"
    prompt = PROVIDER.parse_request(endpoint, body)
    assert [segment.text for segment in prompt.segments] == texts


@given(JSON | mutated(REQUEST))
def test_hostile_requests(payload: Any) -> None:
    assert_parses_or_refuses(PROVIDER, GENERATE, payload)


@given(JSON | mutated({"requests": [{"content": {"parts": [{"text": "a"}]}}]}, {"instances": [{"content": "a"}]}))
def test_hostile_embeddings(payload: Any) -> None:
    assert_parses_or_refuses(PROVIDER, EMBED, payload)
