from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from tests.relay.api.calls import span_id, trace_id
from tests.relay.api.serving import TENANT_A

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

PATHS = {
    "/api/v1/traces": "/api/v1/traces",
    "/api/v1/traces/{trace_id}": f"/api/v1/traces/{trace_id(TENANT_A, 6)}",
    "/api/v1/spans": "/api/v1/spans",
    "/api/v1/spans/{span_id}": f"/api/v1/spans/{span_id(TENANT_A, 5)}",
    "/api/v1/security/findings": "/api/v1/security/findings",
    "/api/v1/findings": "/api/v1/findings",
    "/api/v1/series": "/api/v1/series",
    "/api/v1/sessions": "/api/v1/sessions",
    "/api/v1/sessions/{session}": "/api/v1/sessions/session/1",
    "/api/v1/stats": "/api/v1/stats",
    "/api/v1/actions/summary": "/api/v1/actions/summary",
    "/api/v1/config/live": "/api/v1/config/live",
    "/api/v1/me": "/api/v1/me",
}


@pytest.fixture
def description(client: httpx.Client) -> dict[str, Any]:
    return dict(client.get("/api-doc/openapi.json").json())


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)


@pytest.mark.parametrize("path", PATHS)
def test_answers_are_as_described_and_nothing_is_left_out(
    client: httpx.Client, description: dict[str, Any], path: str
) -> None:
    answer = description["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    schemas = description["components"]["schemas"]
    for schema in schemas.values():  # so that a member that is not described is an error
        if schema.get("properties") and "additionalProperties" not in schema:
            schema["additionalProperties"] = False
    validator = jsonschema_rs.Draft202012Validator(
        {**answer, "components": {"schemas": schemas}}, validate_formats=True
    )
    told = client.get(PATHS[path]).json()
    assert told
    assert [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(told)] == []


def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    names = set(description["components"]["schemas"])
    used = {each["$ref"].rpartition("/")[2] for each in objects(description) if "$ref" in each}
    assert used <= names
    assert "HTTPValidationError" not in names


def test_every_operation_says_what_it_answers_when_something_is_wrong(description: dict[str, Any]) -> None:
    operations = [operation for item in description["paths"].values() for operation in item.values()]
    assert len(operations) > 18
    for operation in operations:
        assert "422" not in operation["responses"]
        error = operation["responses"]["default"]["content"]["application/json"]["schema"]
        assert error == {"$ref": "#/components/schemas/Error"}
        assert operation["description"]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)


def test_how_to_get_in(description: dict[str, Any]) -> None:
    assert description["security"] == [{"key": []}, {"token": []}]
    doors = description["components"]["securitySchemes"]
    assert (doors["key"]["scheme"], doors["token"]["name"]) == ("bearer", "X-LLMTrace-Token")


def test_no_parameter_may_be_null(description: dict[str, Any]) -> None:
    for item in description["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                assert {"type": "null"} not in list(objects(parameter["schema"]))
