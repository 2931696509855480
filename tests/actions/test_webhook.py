"""What the webhook tells: the keys of the proxy's payload, nothing that quotes, soon and signed."""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtrace_sdk.actions import Parts, webhook
from llmtrace_sdk.actions.dispatch import Dispatch
from llmtrace_sdk.core import action_payloads
from llmtrace_sdk.core.model import ActionStatus, Answer, Content, Coverage, Decision, Labels, Prompt, Segment, Severity
from llmtrace_sdk.core.routing import ActionRule, RouterOptions, WebhookOptions

from .receiver import OK, SECRET_TEXT, Faults, Receiver, finding, record, status

KEYS = {"trace_id", "tenant_id", "findings", "source_ip", "model", "provider"}
FINDING_KEYS = {
    "id",
    "severity",
    "finding_type",
    "description",
    "detected_at",
    "confidence_score",
    "location",
    "metadata",
    "requires_alert",
}
AT = "2023-11-14T22:13:20.123Z"


def made(receiver: Receiver, *, content: bool = False, secret: str | None = None, **options: Any) -> webhook.Webhook:
    rules = (
        ActionRule(finding_type="prompt_injection", min_severity="medium", min_confidence=0, actions=("webhook",)),
    )
    hook = WebhookOptions(url=receiver.url, secret_env="KEY" if secret else None, **options)
    router = RouterOptions(enabled=True, default_actions=(), rules=rules, webhook=hook)
    return webhook.build(Parts(router=router, content=content, secret={"KEY": secret}.get))


def test_the_seed_payload_comes_within_150_ms_of_the_call() -> None:
    with Receiver() as receiver:
        dispatch = Dispatch({"webhook": made(receiver)}, on_fault=Faults(), told=lambda *_: None)
        dispatch.warm()
        assert dispatch.flush(10)
        call = record(finding("prompt_extraction", Severity.MEDIUM), finding())
        took = []
        for _ in range(5):  # the machine may have been busy with something else for a moment
            began = time.monotonic()
            assert dispatch.put(call, ("webhook",), "198.51.100.10")
            request = receiver.wait()[-1]
            took.append(receiver.times[-1] - began)
        assert sorted(took)[2] < 0.150
        assert request.json["source_ip"] == "198.51.100.10"
        assert request.json["findings"][0]["finding_type"] == "prompt_injection"
        assert dispatch.close(10)


def test_the_keys_are_those_of_the_proxy() -> None:
    with Receiver() as receiver:
        assert made(receiver).run(record(finding()), "198.51.100.10") == ActionStatus(
            "webhook", "success", 1, "http_200"
        )
        (request,) = receiver.requests
    body = request.json
    assert set(body) == KEYS
    assert body["trace_id"] == record().id
    assert (body["tenant_id"], body["model"], body["provider"]) == ("acme", "gpt-4", "openai")
    (each,) = body["findings"]
    assert set(each) == FINDING_KEYS
    assert uuid.UUID(each["id"]).version == 8
    assert (each["severity"], each["confidence_score"], each["requires_alert"]) == ("High", 0.95, True)
    assert (each["detected_at"], each["location"]) == (AT, "/messages/0/content")
    assert (each["metadata"]["start"], each["metadata"]["end"], each["metadata"]["rule"]) == ("0", "31", "pi.rule")


def test_a_repetition_has_the_same_ids_and_another_finding_another() -> None:
    def ids(*found: Any, **facts: Any) -> list[str]:
        body = action_payloads.webhook(record(*found, **facts), found, None, AT)
        return [each["id"] for each in body["findings"]]

    found = finding(), finding("jailbreak")
    assert ids(*found) == ids(*found)
    assert len({*ids(*found), *ids(*found, call_id="another")}) == 4


def test_nothing_is_quoted_and_no_key_is_told() -> None:
    with Receiver() as receiver:
        made(receiver, secret="s3cret").run(record(finding()), None)
        (request,) = receiver.requests
    assert request.json["source_ip"] is None
    for text in (SECRET_TEXT, "Ignore", "sk-live", "s3cret"):
        assert text.encode() not in request.body
    at, _, v1 = request.headers["x-llmtrace-signature"].removeprefix("t=").partition(",v1=")
    assert abs(int(at) - time.time()) < 60
    assert v1 == hmac.new(b"s3cret", f"{at}.".encode() + request.body, hashlib.sha256).hexdigest()


def test_content_is_told_only_when_it_may_be_and_without_what_is_sensitive() -> None:
    secret = finding("secret_leakage")
    with Receiver() as receiver:
        made(receiver, content=True).run(record(finding()), None)
        made(receiver, content=True).run(record(secret, call_id="2"), None)
        bodies = [request.json for request in receiver.requests]
    assert bodies[0]["content"]["input"] == [
        {
            "channel": "user",
            "location": "/messages/0/content",
            "text": SECRET_TEXT.partition("sk-")[0] + "[REDACTED:credential]",
        }
    ]
    assert bodies[1]["content"]["input"][0]["text"].startswith("[REDACTED:secret_leakage]")


@pytest.mark.parametrize(
    "facts",
    [
        {"action": "block"},
        {"decision": Decision("d", "flag", degraded=True)},
        {"coverage": Coverage("partial", ("text_limit",))},
        {"content": None},
    ],
)
def test_content_of_a_call_that_may_hold_anything_is_never_told(facts: dict[str, Any]) -> None:
    assert "content" not in action_payloads.webhook(record(finding(), **facts), (), None, AT, content=True)


@pytest.mark.parametrize(
    ("answers", "ended"),
    [
        ((status(500), OK), ActionStatus("webhook", "success", 2, "http_200")),
        ((status(404),), ActionStatus("webhook", "error", 1, "http_404")),
        ((status(302, "location: http://127.0.0.2/"),), ActionStatus("webhook", "error", 1, "redirected")),
    ],
)
def test_the_status_tells_how_it_ended(answers: tuple[bytes, ...], ended: ActionStatus) -> None:
    with Receiver(*answers) as receiver:
        assert made(receiver).run(record(finding()), None) == ended


def test_its_options_reach_the_delivery() -> None:
    with Receiver(lambda connection: connection.recv(1) and None) as receiver:
        began = time.monotonic()
        ended = made(receiver, timeout_ms=100, max_attempts=1).run(record(finding()), None)
        assert ended == ActionStatus("webhook", "error", 1, "timeout")
        assert time.monotonic() - began < 2.0


def test_without_a_url_it_is_skipped() -> None:
    assert webhook.build(Parts()).run(record(finding()), None) == ActionStatus("webhook", "skipped", 0, "no_url")


ANY = st.text(max_size=50) | st.just("\ud800") | st.just(SECRET_TEXT)


@given(ANY, ANY, ANY, ANY, st.integers(0, 300), st.integers())
def test_whatever_a_call_holds_the_payload_is_short_json(
    model: str, tenant: str, kind: str, pointer: str, count: int, started_ns: int
) -> None:
    found = [msgspec.structs.replace(finding(kind), pointer=pointer, rule=kind)] * count
    segment = Segment(model, "user", pointer)
    call = record(
        *found,
        labels=Labels(tenant=tenant),
        prompt=Prompt(model=None),
        answer=Answer(model=model),
        content=Content((segment,) * 100, (segment,)),
    )
    call = msgspec.structs.replace(call, started_ns=started_ns * 10**6)
    body = webhook.encoded(action_payloads.webhook(call, found, None, webhook.time_of(call), content=True))
    assert b"sk-live" not in body
    assert len(body) < 200_000
    assert len(msgspec.json.decode(body)["findings"]) == min(count, 100)
