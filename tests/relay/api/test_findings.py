from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.relay.api.calls import span_id, trace_id
from tests.relay.api.conftest import COUNT
from tests.relay.api.serving import TENANT_A

if TYPE_CHECKING:
    import httpx

RISKY = [number for number in range(COUNT) if number % 3 == 0]
PRIVATE = [number for number in RISKY if number % 6 == 0]


def test_a_finding_is_told_with_the_call_that_it_is_about(client: httpx.Client) -> None:
    body = client.get("/api/v1/findings", params={"limit": 1}).json()
    assert body["total"] == len(RISKY) + len(PRIVATE)
    (found,) = body["data"]
    newest = RISKY[-1]
    assert found.pop("id")
    assert found == {
        "severity": "High",
        "finding_type": "prompt_injection",
        "description": "Somebody tries to change the instructions",
        "detected_at": f"2025-01-01T{newest}:00:00.000005Z",
        "confidence_score": 0.9,
        "location": "/messages/0/content",
        "metadata": {"rule": "r1"},
        "requires_alert": True,
        "tenant_id": TENANT_A,
        "trace_id": trace_id(TENANT_A, newest),
        "span_id": span_id(TENANT_A, newest),
        "model_name": "claude-sonnet-4",
        "provider": "anthropic",
        "action": "allow",
    }


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({"finding_type": "pii_detected"}, len(PRIVATE)),
        ({"min_severity": "Medium"}, len(RISKY) + len(PRIVATE)),
        ({"min_severity": "high"}, len(RISKY)),
        ({"min_severity": "CRITICAL"}, 0),
        ({"min_confidence": 0.6}, len(RISKY) + len(PRIVATE)),
        ({"min_confidence": 0.61}, len(RISKY)),
        ({"model": "gpt-4o", "finding_type": "prompt_injection"}, len([n for n in RISKY if n % 2 == 0])),
        ({"agent": "agent-0"}, len(RISKY) + len(PRIVATE)),
        ({"agent": "agent-1"}, 0),
        ({"trace_id": trace_id(TENANT_A, 6).replace("-", "")}, 2),
        ({"start_time": "2025-01-01T21:00:00Z"}, 1),
        ({"end_time": "2025-01-01T01:00:00Z"}, 2),
    ],
)
def test_filters(client: httpx.Client, params: dict[str, Any], count: int) -> None:
    body = client.get("/api/v1/findings", params=params).json()
    assert body["total"] == len(body["data"]) == count


def test_pages(client: httpx.Client) -> None:
    whole = client.get("/api/v1/findings").json()["data"]
    times = [found["detected_at"] for found in whole]
    assert times == sorted(times, reverse=True)
    paged = [client.get("/api/v1/findings", params={"limit": 5, "offset": at}).json()["data"] for at in (0, 5, 10)]
    assert [found["id"] for page in paged for found in page] == [found["id"] for found in whole]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"min_severity": "grave"}, "min_severity: must be one of Info, Low, Medium, High, Critical"),
        ({"min_confidence": "1.5"}, "min_confidence: must be less than or equal to 1"),
        ({"min_confidence": "NaN"}, "min_confidence: must be"),
        ({"type": "x"}, "type: is not known here"),
    ],
)
def test_what_is_wrong_is_said(client: httpx.Client, params: dict[str, Any], words: str) -> None:
    answer = client.get("/api/v1/findings", params=params)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
