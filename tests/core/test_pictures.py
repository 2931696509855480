"""What pictures count for before a call, in the shapes of the vendors; texts count as they are long."""

from __future__ import annotations

import base64
import json
import random
import time
from typing import Any

import httpx
import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk.core.pictures import PICTURE_SIZE, STEP, text_size
from llmtrace_sdk.core.tokens import BLOB_TOKENS, BYTES_PER_TOKEN
from tests.transport.wire import URL as URL_OF_OPENAI
from tests.transport.wire import Wire, client

DATA = base64.b64encode(random.Random(7).randbytes(300_000)).decode()
URL = f"data:image/png;base64,{DATA}"
TEXT = {"type": "text", "text": "What is on it?"}


def body(*parts: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": [TEXT, *parts]}]}).encode()


PICTURES = {
    "openai": {"type": "image_url", "image_url": {"url": URL}},
    "responses": {"type": "input_image", "image_url": URL},
    "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
    "anthropic, in another order": {"source": {"data": DATA, "media_type": "image/png", "type": "base64"}},
    "gemini": {"inlineData": {"mimeType": "image/jpeg", "data": DATA}},
    "bedrock": {"image": {"format": "png", "source": {"bytes": DATA}}},
}


@pytest.mark.parametrize("part", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("count", [1, 3])
def test_a_picture_counts_as_what_it_costs(part: dict[str, Any], count: int) -> None:
    whole = body(*[part] * count)
    size = text_size(whole)
    assert len(whole) > count * 400_000
    assert count * PICTURE_SIZE < size < count * (PICTURE_SIZE + 400) + 200
    assert abs(size / BYTES_PER_TOKEN - count * BLOB_TOKENS) < count * 200
    assert text_size(json.dumps(json.loads(whole), separators=(",", ":")).encode()) < size


NO_PICTURES = {
    "prose": {"type": "text", "text": "The ferry leaves at nine. " * 20_000},
    "a text of base64": {"type": "text", "text": DATA},
    "a text that speaks of a picture": {"type": "text", "text": f"data:application/pdf;base64,{DATA}"},
    "a text in which such JSON stands": {"type": "text", "text": json.dumps(PICTURES["anthropic"])},
    "one with a data URL in it": {"type": "text", "text": f"look: {URL}"},
    "a document": {"type": "document", "source": {"media_type": "application/pdf", "data": DATA}},
    "sound": {"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}},
    "a picture too small to matter": {"type": "image_url", "image_url": {"url": URL[: STEP // 2]}},
    "another script": {"type": "text", "text": "水" * 100_000},
}


@pytest.mark.parametrize("part", NO_PICTURES.values(), ids=NO_PICTURES)
def test_everything_else_counts_as_it_is_long(part: dict[str, Any]) -> None:
    for whole in (body(part), json.dumps(json.loads(body(part)), ensure_ascii=False).encode()):
        assert text_size(whole) == len(whole)


@pytest.mark.parametrize("junk", [b"", b"a" * 100_000, b'"' * 100_000, b'"data":"' + b"a" * 100_000, bytes(100_000)])
def test_what_is_no_json_counts_as_it_is_long(junk: bytes) -> None:
    assert text_size(junk) == len(junk)


def test_it_takes_next_to_no_time() -> None:
    whole = body(NO_PICTURES["prose"], *PICTURES.values(), *NO_PICTURES.values())
    hostile = (b'"data":"' + b"a" * 20_000 + b'",') * 200
    for each in (whole, hostile, b"a" * 5_000_000, b'a"' * 2_500_000):
        began = time.process_time()
        text_size(each)
        assert time.process_time() - began < 0.1


def test_a_call_with_a_picture_passes_where_a_text_as_long_does_not() -> None:
    llmtrace.configure(cost_caps={"enabled": True, "default_token_cap": {"max_prompt_tokens": 5_000}})
    statuses = []
    for part in (PICTURES["openai"], NO_PICTURES["prose"]):
        with client(httpx, "sync", Wire()) as http:
            message = {"role": "user", "content": [TEXT, part]}
            statuses.append(http.post(URL_OF_OPENAI, json={"model": "gpt-4o", "messages": [message]}).status_code)
    assert statuses == [200, 429]
