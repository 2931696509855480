"""The MCP client on an HTTP client of the program's own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk.testing import recorded

if TYPE_CHECKING:
    from llmtrace_sdk.fake_provider import FakeProvider

pytestmark = [pytest.mark.matrix, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def test_tool_calls_are_recorded(provider: FakeProvider) -> None:
    mcp: Any = pytest.importorskip("mcp", exc_type=ImportError)
    transport: Any = pytest.importorskip("mcp.client.streamable_http", exc_type=ImportError)
    httpx2: Any = pytest.importorskip("httpx2", exc_type=ImportError)

    async def main() -> list[str]:
        async with httpx2.AsyncClient(timeout=10) as http:
            llmtrace.instrument(http)
            async with mcp.Client(transport.streamable_http_client(f"{provider.url}/mcp", http_client=http)) as client:
                tools = (await client.list_tools()).tools
                await client.call_tool(tools[0].name, {"city": "Lisbon"})
                return [tool.name for tool in tools]

    with recorded() as records:
        assert asyncio.run(main())
        paths = {record.path for record in records.settled()}
    assert paths == {"/mcp"}
    assert len(records) >= 3
