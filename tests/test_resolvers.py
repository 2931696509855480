"""What resolvers find, in what order of knowledge, and what they leave alone."""

from __future__ import annotations

import logging
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest
import wrapt

import llmtrace_sdk as llmtrace
from llmtrace_sdk.resolvers import hooks, resolve
from llmtrace_sdk.resolvers.search import MAX_LEVELS, MAX_OBJECTS, search

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

FAMILIES = [httpx, httpx2]


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client() as one:
        yield one


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "llmtrace")
    return caplog


def in_module(name: str, module: str, **attributes: Any) -> Any:
    """An object of a class of this name that says it comes from `module`."""
    return type(name, (), {"__module__": module, **attributes})()


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
@pytest.mark.parametrize("module", FAMILIES, ids=lambda m: m.__name__)
def test_an_http_client_is_found_in_itself(module: ModuleType, kind: str) -> None:
    base = getattr(module, kind)
    for client in (base(), type("Mine", (base,), {})()):
        found = resolve(client)
        assert found.clients == [client]
        assert found.looked_at == ["the client itself"]


def test_members_of_a_list_are_found_and_the_rest_is_said(client: httpx.Client, said: pytest.LogCaptureFixture) -> None:
    other = httpx2.Client()
    assert resolve([client, other, client]).clients == [client, other]
    assert not said.records
    assert resolve((client, 3)).clients == [client]
    assert "member [1], a builtins.int" in said.text
    other.close()


class Slotted:
    __slots__ = ("__inner", "empty")

    def __init__(self, inner: Any) -> None:
        self.__inner = inner


class Bot:
    def __init__(self, **state: Any) -> None:
        self.me = self
        vars(self).update(state)

    def method(self) -> None: ...


@pytest.mark.parametrize(
    ("hide", "path"),
    [
        (lambda c: Bot(llm=c), ".llm"),
        (lambda c: Bot(parts={"llm": [None, c]}), ".parts['llm'][1]"),
        (lambda c: Bot(parts={(1, 2): c}), ".parts[...]"),
        (lambda c: Bot(parts=({"deep": (c,)},)), ".parts[0]['deep'][0]"),
        (Slotted, "._Slotted__inner"),
        (lambda c: {"llm": c}, "['llm']"),
        (lambda c: partial(print, c), ".args[0]"),
        (lambda c: Bot(llm=c).method, ".__self__.llm"),
        (lambda c: wrapt.ObjectProxy(Bot(llm=c)), ".__wrapped__.llm"),
        (lambda c: Bot(llm=wrapt.ObjectProxy(c)), ".llm.__wrapped__"),
    ],
)
def test_an_unknown_object_is_searched_with_a_warning(
    hide: Any, path: str, client: httpx.Client, said: pytest.LogCaptureFixture
) -> None:
    assert resolve(hide(client)).clients == [client]
    assert said.messages[0].endswith(f"found HTTP clients at {path}")


def test_an_sdk_object_inside_an_unknown_one_is_followed_by_the_table() -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(api_key="none") as sdk:
        assert resolve(Bot(parts=[sdk.chat.completions])).clients == [sdk._client]


def test_a_search_evaluates_nothing(client: httpx.Client) -> None:
    class Trap:
        def __init__(self) -> None:
            self.llm = client

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"asked for {name}")

        @property
        def tempting(self) -> Any:
            raise AssertionError("evaluated")

        def __call__(self) -> None:
            raise AssertionError("called")

    assert resolve(Trap()).clients == [client]


def test_a_search_is_bounded(client: httpx.Client) -> None:
    def nested(levels: int) -> Any:
        inner: Any = client
        for _ in range(levels):
            inner = [inner]
        return {"root": inner}

    assert resolve(nested(MAX_LEVELS - 1)).clients == [client]
    assert resolve(nested(MAX_LEVELS)).clients == []
    crowd = [object() for _ in range(MAX_OBJECTS)]
    assert resolve({"crowd": [*crowd[:100], client]}).clients == [client]
    assert resolve({"crowd": crowd, "late": [client]}).clients == []
    visited: list[Any] = []
    list(search({"crowd": [*crowd, *crowd]}, visited.append))
    assert len(visited) < MAX_OBJECTS


@pytest.mark.parametrize("thing", [None, 3, "text", object(), httpx, [], {}])
def test_nothing_is_an_error_that_says_where_we_looked(thing: Any) -> None:
    assert not resolve(thing).clients
    with pytest.raises(llmtrace.NothingInstrumented, match=r"looked at: (nothing|the object)"):
        llmtrace.instrument(thing)


@pytest.mark.parametrize(
    ("name", "module", "advice"),
    [
        ("BedrockRuntime", "botocore.client", "AnthropicBedrock"),
        ("Session", "requests.sessions", "an SDK that it covers"),
        ("ClientSession", "aiohttp.client", "an SDK that it covers"),
        ("LM", "dspy.clients.lm", "an SDK that it covers"),
        ("Client", "xai_sdk.sync.client", "gRPC"),
        ("AsyncRealtimeConnection", "openai.resources.realtime.realtime", "websocket"),
    ],
)
def test_what_cannot_be_covered_comes_with_advice(name: str, module: str, advice: str) -> None:
    with pytest.raises(llmtrace.NothingInstrumented, match=advice):
        llmtrace.instrument(in_module(name, module))


def test_an_attribute_that_raises_is_said_and_the_others_are_read(
    client: httpx.Client, said: pytest.LogCaptureFixture
) -> None:
    @property  # type: ignore[misc]
    def broken(_: Any) -> Any:
        raise ValueError("the key is sk-secret")

    found = resolve(in_module("BaseLanguageModel", "langchain_core.x", root_client=broken, async_client=client))
    assert found.clients == [client]
    assert ".root_client (raised ValueError)" in found.looked_at
    assert "raised ValueError" in said.text
    assert "secret" not in said.text


def test_chains_of_langchain(said: pytest.LogCaptureFixture) -> None:
    chat = pytest.importorskip("langchain_openai").ChatOpenAI(
        model="m", api_key="none", base_url="http://127.0.0.1:9/v1"
    )
    prompt = pytest.importorskip("langchain_core.prompts").ChatPromptTemplate.from_messages([("user", "{x}")])
    own = resolve(chat).clients
    assert own == [chat.root_client._client, chat.root_async_client._client]
    for runnable in (prompt | chat, chat.bind(stop=["x"]), chat.with_fallbacks([chat]), {"a": prompt} | chat):
        assert resolve(runnable).clients == own
    assert not said.records


def test_the_openai_module_before_its_key_is_known() -> None:
    openai: Any = pytest.importorskip("openai")
    openai._reset_client()
    openai.http_client = openai.api_key = None
    found = resolve(openai)
    assert found.clients == [openai.http_client]
    openai.api_key = "none"
    made = openai._load_client()
    assert made._client is openai.http_client
    assert (made._client.timeout, made._client.follow_redirects) == (openai.DEFAULT_TIMEOUT, True)
    assert resolve(openai).clients == found.clients
    openai.http_client.close()
    openai._reset_client()
    openai.http_client = openai.api_key = None


def test_google_asks_for_aiohttp_again_after_unhook(said: pytest.LogCaptureFixture) -> None:
    genai = pytest.importorskip("google.genai")
    sdk = genai.Client(api_key="none")
    api = sdk._api_client
    type(api)._use_aiohttp, asks = lambda _: True, type(api)._use_aiohttp
    try:
        resolve(sdk)
        assert api._use_aiohttp() is True  # nobody is there to wrap what would be used instead
        assert resolve(sdk.aio, wrap=print).hooked == ["._api_client._async_httpx_client._client_for_running_loop()"]
        assert api._use_aiohttp() is False
        resolve(sdk, unhook=True)
        assert api._use_aiohttp() is True
        assert "_client_for_running_loop" not in vars(api._async_httpx_client)
        api._http_options.aiohttp_client = object()
        assert resolve(sdk, wrap=print).clients == [api._httpx_client]
        assert "does not cover the async calls" in said.text
    finally:
        type(api)._use_aiohttp = asks
        sdk.close()


def test_a_hook_keeps_its_first_wrap_unless_told() -> None:
    taken: list[str] = []
    owner = SimpleNamespace(make=lambda: "client")
    original = owner.make
    for name, replace in (("first", False), ("second", False), ("third", True)):
        assert hooks.put(owner, "make", lambda client, name=name: taken.append(f"{name} {client}"), replace=replace)
        assert owner.make() == "client"
    assert taken == ["first client", "first client", "third client"]
    hooks.remove(owner, "make")
    assert owner.make is original
    assert not hooks.put(owner, "absent", print, replace=False)


def test_a_hook_on_a_method_leaves_the_class_alone() -> None:
    class Owner:
        def make(self) -> str:
            return "client"

    owner = Owner()
    hooks.put(owner, "make", print, replace=False)
    hooks.remove(owner, "make")
    hooks.remove(owner, "make")
    assert vars(owner) == {}
    owner.make = theirs = lambda: "other"  # type: ignore[method-assign]
    hooks.remove(owner, "make")
    assert owner.make is theirs
