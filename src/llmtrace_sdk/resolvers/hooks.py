"""Taps on the places where an SDK creates HTTP clients of its own accord."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Hook:
    """Stands in for a function of one object, or of one module, that returns an HTTP client, and wraps that client."""

    def __init__(self, original: Callable[..., Any], wrap: Callable[[Any], None], *, inherited: bool) -> None:
        self.original = original
        self.wrap = wrap
        self.inherited = inherited

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make the client, then wrap it."""
        client = self.original(*args, **kwargs)
        self.wrap(client)
        return client


class AsyncHook(Hook):
    """`Hook` for a coroutine function."""

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Await the client, then wrap it."""
        client = await self.original(*args, **kwargs)
        self.wrap(client)
        return client


def put(owner: Any, name: str, wrap: Callable[[Any], None], *, replace: bool, kind: type[Hook] = Hook) -> bool:
    """Hook `owner.name`; False when there is no such function. An owner that has our hook keeps it."""
    current = getattr(owner, name, None)
    if isinstance(current, Hook):
        if replace:
            current.wrap = wrap
        return True
    if not callable(current):
        return False
    setattr(owner, name, kind(current, wrap, inherited=name not in vars(owner)))
    return True


def remove(owner: Any, name: str) -> None:
    """Take our hook out, if it is still there."""
    current = vars(owner).get(name)
    if not isinstance(current, Hook):
        return
    if current.inherited:
        delattr(owner, name)
    else:
        setattr(owner, name, current.original)
