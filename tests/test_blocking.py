"""blocked(exc): ours or not, however deep and in whatever dress."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import pytest

import llmtrace_sdk as llmtrace
from llmtrace_sdk import runtime
from llmtrace_sdk.blocking import HEADER, MAX_EXCEPTIONS
from llmtrace_sdk.core.model import Decision

ID = "01a207cb-1401-7de0-a0fc-52e8951fa7b6"
OURS = Decision(id=ID, action="block", verdict="block", reason="prompt_injection.high")


class Odd(Exception):
    """An SDK's error with whatever attributes it has."""

    def __init__(self, text: str = "", **attributes: Any) -> None:
        super().__init__(text)
        vars(self).update(attributes)


def raised(error: BaseException, *, inside: BaseException | None = None, cause: Any = ...) -> BaseException:
    """`error` as it is after `raise error` while `inside` was handled, or after `raise error from cause`."""
    error.__context__ = inside
    if cause is not ...:
        error.__cause__ = cause
    assert error.__suppress_context__ is (cause is not ...)
    return error


def response(module: Any = httpx, **more: Any) -> Any:
    return module.Response(400, **more)


def test_other_errors_are_not_ours() -> None:
    ours_allowed = response(extensions={"llmtrace": Decision(id=ID, action="flag", verdict="flag")})
    for error in (
        ValueError(),
        Odd(response=ours_allowed),
        Odd(response=response()),
        Odd(headers={"x": "y"}),
        Odd(headers=3),
    ):
        assert llmtrace.blocked(error) is None
    assert llmtrace.blocked(raised(KeyError(), inside=ValueError())) is None


def test_our_own_exception() -> None:
    assert llmtrace.blocked(llmtrace.Blocked(OURS)) is OURS


@pytest.mark.parametrize("module", [httpx, httpx2], ids=lambda m: m.__name__)
@pytest.mark.parametrize("name", ["response", "raw_response", "http_response"])
def test_the_extension_of_a_response(module: Any, name: str) -> None:
    error = Odd(**{name: response(module, extensions={"llmtrace": OURS})})
    assert llmtrace.blocked(error) is OURS


@pytest.mark.parametrize(
    "error",
    [
        Odd(response=response(headers={HEADER: ID})),
        Odd(response=response(httpx2, headers={HEADER: ID})),
        Odd(headers={HEADER: ID}),
        Odd(headers={"X-LLMTrace-Blocked": ID, 3: 4}),
        Odd(headers=httpx.Headers({HEADER.upper(): ID})),
    ],
    ids=["httpx", "httpx2", "dict", "dict-case", "headers"],
)
def test_headers_alone(error: Exception) -> None:
    """As after the relay's block, or when a framework copies only the headers."""
    found = llmtrace.blocked(error)
    assert found == Decision(id=ID, action="block", verdict="block", reason="blocked")
    runtime._remember(OURS)
    try:
        assert llmtrace.blocked(error) is OURS
    finally:
        runtime._blocks.clear()


def test_a_message_is_believed_only_about_a_block_that_we_remember() -> None:
    error = Odd(f"detail: Blocked by llmtrace policy: prompt_injection.high (decision {ID})")
    assert llmtrace.blocked(error) is None
    runtime._remember(OURS)
    try:
        assert llmtrace.blocked(error) is OURS
        assert llmtrace.blocked(Odd("x" * 20_000 + str(error))) is None
    finally:
        runtime._blocks.clear()


def test_the_chain_is_walked() -> None:
    ours = llmtrace.Blocked(OURS)
    assert llmtrace.blocked(raised(ValueError(), cause=ours)) is OURS
    assert llmtrace.blocked(raised(ValueError(), inside=ours)) is OURS
    assert llmtrace.blocked(raised(ValueError(), inside=ours, cause=None)) is OURS
    assert (
        llmtrace.blocked(raised(ValueError(), cause=raised(KeyError(), inside=raised(OSError(), cause=ours)))) is OURS
    )
    assert llmtrace.blocked(raised(ValueError(), inside=ours, cause=KeyError())) is OURS


def test_groups_are_entered() -> None:
    inner = ExceptionGroup("inner", [KeyError(), raised(ValueError(), cause=llmtrace.Blocked(OURS))])
    assert llmtrace.blocked(ExceptionGroup("outer", [OSError(), inner])) is OURS
    assert llmtrace.blocked(BaseExceptionGroup("outer", [KeyboardInterrupt(), inner])) is OURS


def test_cycles_and_long_chains_end() -> None:
    one, two = ValueError(), KeyError()
    one.__cause__, two.__cause__ = two, one
    assert llmtrace.blocked(one) is None
    last: BaseException = llmtrace.Blocked(OURS)
    for _ in range(MAX_EXCEPTIONS - 1):
        last = raised(ValueError(), cause=last)
    assert llmtrace.blocked(last) is OURS
    assert llmtrace.blocked(raised(ValueError(), cause=last)) is None


def test_hostile_exceptions_do_no_harm() -> None:
    class Hostile(Exception):
        @property
        def response(self) -> Any:
            raise RuntimeError

        headers = response

        def __str__(self) -> str:
            raise RuntimeError

    assert llmtrace.blocked(Hostile()) is None
    assert llmtrace.blocked(raised(Hostile(), cause=llmtrace.Blocked(OURS))) is OURS
