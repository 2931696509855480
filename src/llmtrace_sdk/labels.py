"""`context(...)`: what the application says about the calls it makes (session, user, agent, tenant, tags)."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

from msgspec import structs

from llmtrace_sdk.core.model import Labels

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_current: ContextVar[Labels] = ContextVar("llmtrace_labels", default=Labels())  # noqa: B039 - Labels is frozen


def current() -> Labels:
    """The labels in force here."""
    return _current.get()


class context:  # noqa: N801 - used like a function
    """Label every call made inside, in this thread or task and the tasks it starts. Nests: inner values win.

    Usable with `with` and `async with`. `tags` are strings by name; they are added to those of the outer context.
    """

    def __init__(
        self,
        *,
        session: str | None = None,
        user: str | None = None,
        agent: str | None = None,
        tenant: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        given = {"session": session, "user": user, "agent": agent, "tenant": tenant}
        self._given = {name: value for name, value in given.items() if value is not None}
        self._tags = dict(tags or {})
        self._tokens: list[Token[Labels]] = []

    def __enter__(self) -> Labels:
        outer = _current.get()
        tags = tuple({**dict(outer.tags), **self._tags}.items())
        labels = structs.replace(outer, **self._given, tags=tags)
        self._tokens.append(_current.set(labels))
        return labels

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _current.reset(self._tokens.pop())

    async def __aenter__(self) -> Labels:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
