"""The files of the web page: what they are sent with, and what must not be in them."""

from __future__ import annotations

import asyncio
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from llmtrace_relay import api
from llmtrace_relay.api._context import Context
from llmtrace_relay.dashboard import PAGE, TYPES, Dashboard
from llmtrace_relay.features import FEATURES
from llmtrace_relay.model import SEVERITIES
from llmtrace_sdk.core.model import Outcome

FILES = sorted(path.name for path in PAGE.iterdir())
SCRIPTS = {path.name: path.read_text() for path in PAGE.glob("*.js")}
MARKUP = {path.name: path.read_text() for path in [*PAGE.glob("*.html"), *PAGE.glob("*.svg")]}
SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setHTML|srcdoc|DOMParser"
    r"|createContextualFragment|javascript:|localStorage|document\.cookie"
)
CALL = re.compile(r"\b(get|put|address)\((\S+?)[,)]")
BODY = re.compile(r"^import .*? from \"(.+?)\";$", re.MULTILINE)


class Answer:
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.status: int = messages[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        self.body = b"".join(message["body"] for message in messages[1:])


def ask(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    fields = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "headers": fields}
    asyncio.run(Dashboard()(scope, None, send))
    return Answer(messages)


class Tags(HTMLParser):
    """Every element with its attributes, and the text within scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.code: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] in ("script", "style") and data.strip():
            self.code.append(data)


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_served_as_what_it_is(name: str) -> None:
    answer = ask(f"/ui/{name}")
    content = (PAGE / name).read_bytes()
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["content-type"] == TYPES[f".{name.rpartition('.')[2]}"].decode()
    assert answer.headers["content-length"] == str(len(content))
    assert len(content.splitlines()) <= 400


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/ui", "GET", 307),
        ("/ui/", "GET", 200),
        ("/ui/", "HEAD", 200),
        ("/ui/main.js", "POST", 405),
        ("/ui", "PUT", 405),
        ("/ui/nothing.js", "GET", 404),
        ("/ui/__init__.py", "GET", 404),
        ("/ui/../__init__.py", "GET", 404),
        ("/ui//etc/passwd", "GET", 404),
        ("/ui//main.js", "GET", 404),
        ("/ui/main.js/", "GET", 404),
    ],
)
def test_every_answer_is_guarded(path: str, method: str, status: int) -> None:
    answer = ask(path, method)
    assert answer.status == status
    policy = dict(each.strip().split(" ", 1) for each in answer.headers["content-security-policy"].split(";"))
    expected = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
    }
    assert expected.items() <= policy.items()
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_the_head_of_the_page_has_no_body() -> None:
    head, page = ask("/ui/", "HEAD"), ask("/ui/")
    assert head.body == b""
    assert head.headers == page.headers


def test_without_its_slash_the_page_is_found_below_any_prefix() -> None:
    assert ask("/ui").headers["location"] == "ui/"


@pytest.mark.parametrize("form", ["{}", "W/{}", '"old", {}', "*", '"a","b" ,W/{}'])
def test_a_file_that_the_browser_has_is_not_sent_again(form: str) -> None:
    etag = ask("/ui/main.js").headers["etag"]
    answer = ask("/ui/main.js", headers={"if-none-match": form.format(etag)})
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["etag"] == etag
    assert "content-length" not in answer.headers


def test_another_file_is_sent() -> None:
    other = ask("/ui/dom.js").headers["etag"]
    answer = ask("/ui/main.js", headers={"if-none-match": f'{other}, W/"x"'})
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    ("path", "ours"), [("/ui", True), ("/ui/", True), ("/ui/a/b", True), ("/uix", False), ("/", False)]
)
def test_only_its_own_paths_are_the_pages(path: str, ours: bool) -> None:
    assert Dashboard.serves(path) is ours


@pytest.mark.parametrize("name", MARKUP)
def test_there_is_no_inline_code_and_nothing_comes_from_elsewhere(name: str) -> None:
    tags = Tags(MARKUP[name])
    assert not tags.code
    for tag, attributes in tags.elements:
        assert not [each for each in attributes if each == "style" or each.startswith("on")], tag
        for link in ("href", "src"):
            target = attributes.get(link)
            assert target is None or target.startswith("#") or target in FILES, target


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_write_text_alone_and_import_what_there_is(name: str) -> None:
    assert not SINKS.search(SCRIPTS[name])
    assert all(target.removeprefix("./") in SCRIPTS for target in BODY.findall(SCRIPTS[name]))
    assert "http" not in SCRIPTS[name].replace("http://www.w3.org/2000/svg", "")


def test_styles_fetch_nothing() -> None:
    assert not re.search(r"url\(|@import", (PAGE / "style.css").read_text())


def paths_asked_for() -> set[str]:
    """The paths in the calls of get, put and address; constants and templates are resolved."""
    found = set()
    for script in SCRIPTS.values():
        text = script
        constants = dict(re.findall(r"^const ([A-Z]+) = \"(.+?)\";$", text, re.MULTILINE))
        for name, value in constants.items():
            text = re.sub(rf"\$\{{{name}\}}", value, re.sub(rf"\({name}([,)])", rf'("{value}"\1', text))
        for _, argument in CALL.findall(text):
            if "/" in argument or argument.startswith('"'):
                found.add(re.sub(r"\$\{.*\}?", "{}", argument.strip('"`')).rstrip("/"))
    return found


def test_every_path_that_the_scripts_ask_for_is_one_of_the_relays() -> None:
    asked = paths_asked_for()
    context = Context(store=None, policies=None, now_us=lambda: 0, flush=lambda _: True)  # type: ignore[arg-type]
    known = {re.sub(r"\{.*?\}", "{}", path).removeprefix("/") for path in api.build(context).openapi()["paths"]}
    assert {"api/v1/series", "api/v1/traces/{}", "api/v1/findings", "api/v1/config/features/{}", "api/v1/me"} <= asked
    assert asked - known == {"health", "api-doc/openapi.json"}


def test_the_names_that_the_scripts_know_are_the_relays() -> None:
    text = SCRIPTS["trace_words.js"]
    kinds = re.search(r"const KINDS = \{(.*?)\}", text)
    assert kinds
    assert set(re.findall(r"(\w+):", kinds[1])) == set(Outcome.__args__)
    severities = re.search(r"SEVERITIES = (\[.*?\])", text)
    assert severities
    assert tuple(json.loads(severities[1])) == SEVERITIES
    description = api.build(Context(store=None, policies=None, now_us=lambda: 0, flush=lambda _: True)).openapi()  # type: ignore[arg-type]
    assert FEATURES.keys() <= description["components"]["schemas"]["Features"]["properties"].keys()
