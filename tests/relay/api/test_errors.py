"""Whatever goes wrong is answered in one shape, and says nothing that nobody should read."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from llmtrace_relay.store import StoreUnavailable
from tests.relay.api.calls import span_id, trace_id
from tests.relay.api.serving import TENANT_A, headers_of

if TYPE_CHECKING:
    import httpx

    from tests.relay.api.serving import Served

READS = (
    "/api/v1/traces",
    f"/api/v1/traces/{trace_id(TENANT_A, 1)}",
    "/api/v1/spans",
    f"/api/v1/spans/{span_id(TENANT_A, 1)}",
    "/api/v1/security/findings",
    "/api/v1/findings",
    "/api/v1/series",
    "/api/v1/sessions",
    "/api/v1/sessions/session/1",
    "/api/v1/export",
    "/api/v1/actions/summary",
    "/api/v1/stats",
)
ACTIONS = f"/api/v1/traces/{trace_id(TENANT_A, 1)}/actions"


def error_of(answer: httpx.Response) -> dict[str, str]:
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    error: dict[str, str] = answer.json()["error"]
    assert set(error) == {"message", "type"}
    assert error["type"] in ("api_error", "auth_error")
    return error


@pytest.mark.parametrize(
    "path", ["/", "/api/v1", "/api/v1/traces/", "/api/v1/nothing", "/swagger-ui", "/docs", "/redoc"]
)
def test_paths_that_are_not_there(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "/api-doc/openapi.json" in error_of(answer)["message"]


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/api/v1/traces"), ("DELETE", "/api/v1/spans"), ("PATCH", "/api/v1/me")]
)
def test_methods_that_are_not_taken(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
    assert error_of(answer)["message"]


@pytest.mark.parametrize("path", READS)
def test_a_database_that_is_away(served: Served, client: httpx.Client, path: str) -> None:
    served.store.fault = StoreUnavailable("postgresql://me:hunter2@db")
    answer = client.get(path)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert error_of(answer) == {"message": "the database does not answer; try again", "type": "api_error"}


@pytest.mark.parametrize("path", READS)
def test_a_fault_of_ours(served: Served, client: httpx.Client, path: str, caplog: pytest.LogCaptureFixture) -> None:
    served.store.fault = RuntimeError("the prompt was: hunter2")
    answer = client.get(path)
    assert answer.status_code == 500
    assert error_of(answer) == {
        "message": "something went wrong within the relay; its log has more",
        "type": "api_error",
    }
    assert "RuntimeError at " in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'"a"', b"[" * 100_000, b'{"name": "\\ud800", "action_type": "tool_call"}', b"NaN"]
)
def test_bodies_that_are_no_json(client: httpx.Client, body: bytes) -> None:
    answer = client.post(ACTIONS, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert error_of(answer)["message"]


def test_what_was_sent_is_not_repeated(client: httpx.Client) -> None:
    body = {"action_type": "hunter2", "name": ["hunter2"], "duration_ms": "hunter2", "metadata": "hunter2"}
    answer = client.post(ACTIONS, json=body)
    assert answer.status_code == 400
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_that_are_too_large(client: httpx.Client, chunked: bool) -> None:
    piece = b" " * (1 << 16)
    content: Any = (piece for _ in range(17)) if chunked else piece * 17
    answer = client.post(ACTIONS, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert error_of(answer)["message"] == "the body has more than 1048576 bytes"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_bodies_that_a_web_page_can_send_unasked(client: httpx.Client, kind: str) -> None:
    body = json.dumps({"action_type": "tool_call", "name": "n"}).encode()
    answer = client.post(ACTIONS, content=body, headers={"content-type": kind})
    assert answer.status_code == 415
    assert "content-type: application/json" in error_of(answer)["message"]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_changes_that_another_web_page_asks_for(client: httpx.Client, site: str) -> None:
    headers = {"sec-fetch-site": site}
    answer = client.delete("/api/v1/traces", params={"model": "none"}, headers=headers)
    assert answer.status_code == 403
    assert error_of(answer)["type"] == "auth_error"
    assert client.get("/api/v1/me", headers=headers).status_code == 200, "a link may be followed"
    headers = {"sec-fetch-site": "same-origin"}
    assert client.delete("/api/v1/traces", params={"model": "none"}, headers=headers).status_code == 200


def test_other_origins_are_not_let_in(client: httpx.Client) -> None:
    for method in ("GET", "OPTIONS"):
        answer = client.request(method, "/api/v1/traces", headers={"origin": "https://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/spans?search=%ff%fe",
        "/api/v1/spans?search=%F0%9F%98%80",
        "/api/v1/spans?limit=1&limit=2",
        "/api/v1/spans?%00=1",
        "/api/v1/spans?" + "&".join(["model=a"] * 3000),
        "/api/v1/spans/%2e%2e",
        "/api/v1/traces/%0d%0aset-cookie:x=1",
        "/api/v1/spans?limit=" + "9" * 5000,
        "/api/v1/spans?offset=1e400",
        "/api/v1/sessions/" + "%41" * 5000,
        "/api/v1/sessions/..%2f..%2fetc",
        "/api/v1/spans?search=" + "%25" * 400,
    ],
)
def test_requests_that_no_client_would_make(served: Served, target: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=20)
    try:
        connection.request("GET", target, headers=headers_of(TENANT_A, "viewer"))
        answer = connection.getresponse()
        body = json.loads(answer.read())
        assert answer.status in (200, 400, 404)
        assert "set-cookie" not in answer.headers
        assert set(body) <= {"error", "data", "total", "limit", "offset"}
    finally:
        connection.close()
