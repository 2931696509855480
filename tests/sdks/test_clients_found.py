"""The HTTP clients that a resolver finds are the ones that send."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from llmtrace_sdk.resolvers import resolve
from tests.sdks.rig import Rig, each_call

if TYPE_CHECKING:
    from llmtrace_sdk.fake_provider import FakeProvider
    from tests.sdks.target import Call, Target

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Wrapped:
    """Notes the transports that HTTP clients route their requests to."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def __call__(self, http_client: Any) -> None:
        route = http_client._transport_for_url

        def noted(url: Any) -> Any:
            self.paths.append(url.path)
            return route(url)

        if "_transport_for_url" not in vars(http_client):
            http_client._transport_for_url = noted


@pytest.mark.parametrize(("target", "call"), each_call())
def test_all_requests_go_through_what_was_found_before_the_first_one(
    target: Target, call: Call, provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    wrapped = Wrapped()
    with Rig(target, provider) as rig, caplog.at_level(logging.WARNING, "llmtrace"):
        ask = rig.ask()
        client = rig.client(ask)
        found = resolve(target.given(client), wrap=wrapped)
        for http_client in found.clients:
            wrapped(http_client)
        rig.do(call, client, ask)
        assert len([path for path in wrapped.paths if path.startswith(f"/{ask.place}/")]) == rig.arrived(ask) == 1
    # by the table, not by the search
    assert not [record for record in caplog.records if record.name == "llmtrace"]
