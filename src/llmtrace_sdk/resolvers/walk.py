"""One search for the HTTP clients of an object: the table first, then, for a class that nobody knows, its state."""

from __future__ import annotations

import logging
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from llmtrace_sdk import families
from llmtrace_sdk.resolvers import hooks, table
from llmtrace_sdk.resolvers.search import search

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_STEPS: Final = 12
PATHS_NAMED: Final = 5
log = logging.getLogger("llmtrace")


class Found(Struct):
    """What was found inside an object.

    `clients` are there to be wrapped. `hooked` names the places where clients will be created later. `looked_at` names
    the attributes that were read, found or not, and `hint` is advice for when nothing was found.
    """

    clients: list[Any] = field(default_factory=list)
    hooked: list[str] = field(default_factory=list)
    looked_at: list[str] = field(default_factory=list)
    hint: str = ""


class Walk:
    """The state of one search. The functions of `table.Row.special` are given it to report what they find."""

    def __init__(self, wrap: Callable[[Any], None] | None, *, replace: bool, unhook: bool) -> None:
        self.wrap = wrap
        self.replace = replace
        self.unhook = unhook
        self._found = Found()
        self._seen: dict[int, Any] = {}

    def run(self, thing: Any) -> Found:
        """Find everything in `thing`, or in each member of it when it is a list or a tuple."""
        if isinstance(thing, (list, tuple)):
            for index, member in enumerate(thing):
                self._one(member, f"[{index}]")
        else:
            self._one(thing, "")
        return self._found

    def visit(self, thing: Any, path: str, steps: int = 0) -> bool:
        """Follow the table from `thing`, which was found at `path`; False when its class is unknown."""
        if thing is None or id(thing) in self._seen:
            return True
        if families.client_colour(thing) is not None:
            self.client(thing, path)
            return True
        row = table.module_row(thing) if isinstance(thing, ModuleType) else table.row_of(type(thing))
        if row is None or steps > MAX_STEPS:
            return False
        self._seen[id(thing)] = thing
        self._found.hint = self._found.hint or row.hint
        if row.special is not None:
            row.special(self, thing, path)
        for attributes in row.paths:
            self.follow(thing, path, attributes, steps)
        return True

    def follow(self, thing: Any, path: str, attributes: str, steps: int = 0) -> None:
        """Visit what is at `attributes`: names joined by dots, or by a call, as in `_get_client()._client`."""
        place = f"{path}.{attributes}"
        self._found.looked_at.append(place)
        try:
            target = _read(thing, attributes)
        except Exception as error:  # noqa: BLE001 - the SDK could not create its client: no key, a missing extra
            kind = type(error).__qualname__
            self._found.looked_at[-1] = f"{place} (raised {kind})"
            log.warning("llmtrace could not read %s of %s: it raised %s", place, _name(thing), kind)
            return
        members = target.values() if isinstance(target, dict) else target if isinstance(target, (list, tuple)) else ()
        for member in members:
            self.visit(member, f"{place}[...]", steps + 1)
        self.visit(target, place, steps + 1)

    def client(self, client: Any, path: str) -> None:
        """Report an HTTP client."""
        if id(client) not in self._seen:
            self._seen[id(client)] = client
            self._found.clients.append(client)
            if path not in self._found.looked_at:
                self._found.looked_at.append(path or "the client itself")

    def hook(self, owner: Any, name: str, path: str, kind: type[hooks.Hook] = hooks.Hook) -> None:
        """Hook a function that creates clients, or take the hook out; without `wrap`, do neither."""
        if self.unhook:
            hooks.remove(owner, name)
        elif self.wrap is not None and hooks.put(owner, name, self.wrap, replace=self.replace, kind=kind):
            self._found.hooked.append(f"{path}.{name}()")

    def advise(self, hint: str) -> None:
        """Say what to do in case nothing is found; the first advice stands."""
        self._found.hint = self._found.hint or hint

    def _one(self, thing: Any, path: str) -> None:
        if id(thing) in self._seen:
            return
        before = self._size()
        known = self.visit(thing, path)
        if self._size() == before and not (known and self._found.hint):
            self._search(thing, path)
        if path and self._size() == before:
            log.warning("llmtrace found no HTTP client in member %s, a %s", path, _name(thing))

    def _search(self, thing: Any, path: str) -> None:
        places: list[str] = []
        for place, node in search(thing, lambda node: families.client_colour(node) or table.row_of(type(node))):
            before = self._size()
            self.visit(node, f"{path}{place}")
            if self._size() > before:
                places.append(place)
        self._found.looked_at.append(f"{path or 'the object'} and what it holds")
        if places and not self.unhook:
            shown = ", ".join(places[:PATHS_NAMED])
            log.warning(
                "llmtrace does not know %s; a search of its attributes found HTTP clients at %s", _name(thing), shown
            )

    def _size(self) -> int:
        return len(self._found.clients) + len(self._found.hooked)


def _read(thing: Any, attributes: str) -> Any:
    for name in attributes.split("."):
        thing = getattr(thing, name.removesuffix("()"), None)
        if thing is None:
            return None
        if name.endswith("()"):
            thing = thing()
    return thing


def _name(thing: Any) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"
