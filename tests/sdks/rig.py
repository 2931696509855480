"""Drives the rows of the matrix: one event loop per test, counted attempts, clients closed at the end."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self

import pytest

from llmtrace_sdk import families
from llmtrace_sdk.resolvers import resolve
from tests.sdks import (
    targets_anthropic,
    targets_frameworks,
    targets_google,
    targets_hosts,
    targets_openai,
    targets_vendors,
)
from tests.sdks.target import Ask

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from llmtrace_sdk.fake_provider import FakeProvider
    from tests.sdks.target import Call, Target

TARGETS = (
    *targets_openai.TARGETS,
    *targets_anthropic.TARGETS,
    *targets_google.TARGETS,
    *targets_hosts.TARGETS,
    *targets_vendors.TARGETS,
    *targets_frameworks.TARGETS,
)
# What `make test` installs; the rest is run by `make test-matrix`.
CORE = {"openai", "anthropic", "google.genai", "groq", "ollama", "langchain_openai", "httpx"}


def _param(target: Target, *more: Any, name: str) -> Any:
    marks = () if set(target.needs) <= CORE else (pytest.mark.matrix,)
    return pytest.param(target, *more, id=name, marks=marks)


def _family(name: str) -> Any:
    return import_module(name) if find_spec(name) else None


def each_target(targets: Iterable[Target] = TARGETS) -> list[Any]:
    """Test parameters: every row."""
    return [_param(target, name=target.name) for target in targets]


def each_call(targets: Iterable[Target] = TARGETS) -> list[Any]:
    """Test parameters: every row with each of its calls."""
    return [_param(target, call, name=f"{target.name}:{call.name}") for target in targets for call in target.calls]


class Rig:
    """One row at work. Its clients live until the end of the `with` block."""

    def __init__(self, target: Target, provider: FakeProvider) -> None:
        for module in target.needs:
            pytest.importorskip(module, exc_type=ImportError)
        self.target = target
        self.attempts: list[str] = []
        self.took_s = 0.0
        self._provider = provider
        self._stack = ExitStack()
        self._runner = asyncio.Runner()
        self._clients: list[Any] = []
        self._routes: dict[type, Any] = {}

    def __enter__(self) -> Self:
        self._provider.reset()
        self._stack.enter_context(self._runner)
        self._stack.callback(self._stop_counting)
        for module in filter(None, map(_family, families.NAMES)):
            for kind in (module.Client, module.AsyncClient):
                self._routes[kind] = kind._transport_for_url
                kind._transport_for_url = self._counting(kind._transport_for_url)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._stack:
            for client in self._clients:
                self._close(client)

    def ask(self, **what: Any) -> Ask:
        return Ask(self._provider.url, **what)

    def client(self, ask: Ask) -> Any:
        client = self.target.make(ask)
        self._clients.append(client)
        return client

    def do(self, call: Call, client: Any, ask: Ask) -> str:
        """Make the call, and note how long it took."""
        began = time.perf_counter()
        try:
            answer = call.run(client, ask)
            return self._runner.run(answer) if self.target.asynchronous else answer
        finally:
            self.took_s = time.perf_counter() - began

    def arrived(self, ask: Ask) -> int:
        """How many requests of this ask the provider has got."""
        return sum(n for path, n in self._provider.stats()["by_path"].items() if path.startswith(f"/{ask.place}/"))

    def tried(self, ask: Ask) -> int:
        """How many requests of this ask were handed to a transport."""
        return sum(path.startswith(f"/{ask.place}/") for path in self.attempts)

    def error(self) -> type[Exception]:
        """The class of the SDK's error for a refused request."""
        module, _, name = self.target.error.rpartition(".")
        kind: type[Exception] = getattr(import_module(module), name)
        return kind

    def _counting(self, route: Any) -> Any:
        """`Client._transport_for_url`, which is asked once for every attempt of either colour."""

        def counted(http_client: Any, url: Any) -> Any:
            self.attempts.append(url.path)
            return route(http_client, url)

        return counted

    def _stop_counting(self) -> None:
        for kind, route in self._routes.items():
            kind._transport_for_url = route

    def close(self, client: Any) -> None:
        """Close a client before the end."""
        self._clients.remove(client)
        self._close(client)

    def _close(self, client: Any) -> None:
        if self.target.close is not None:
            closing = self.target.close(client)
            if closing is not None:
                self._runner.run(closing)
        for http_client in resolve(self.target.given(client), unhook=True).clients:
            if families.client_colour(http_client) == "sync":
                http_client.close()
            else:
                self._runner.run(http_client.aclose())
