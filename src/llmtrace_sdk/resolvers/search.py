"""A bounded search through the state of an object that nobody knows."""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_LEVELS: Final = 7
MAX_OBJECTS: Final = 5_000
_LEAVES: Final = (str, bytes, bytearray, int, float, complex, type, ModuleType, FunctionType, BuiltinFunctionType)


def search(start: Any, wanted: Callable[[Any], object]) -> Iterator[tuple[str, Any]]:
    """Breadth first, everything inside `start` that is `wanted`, with its path; what was found is not entered.

    Only state is read: instance dictionaries, slots, the members of plain containers, what a proxy or a bound method
    holds. No property is evaluated and nothing is called. Ends after 7 levels or 5,000 objects.
    """
    seen = {id(start): start}
    queue = deque([("", start, 1)])
    while queue:
        path, node, level = queue.popleft()
        for step, child in _state(node):
            if child is None or isinstance(child, _LEAVES) or id(child) in seen:
                continue
            if len(seen) >= MAX_OBJECTS:
                return
            seen[id(child)] = child
            if wanted(child):
                yield path + step, child
            elif level < MAX_LEVELS:
                queue.append((path + step, child, level + 1))


def _state(node: Any) -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        return [(f"[{key!r}]" if isinstance(key, (str, int)) else "[...]", value) for key, value in _some(node.items())]
    if isinstance(node, (list, tuple, set, frozenset, deque)):
        return [(f"[{index}]", value) for index, value in enumerate(_some(node))]
    if isinstance(node, MethodType):
        return [(".__self__", node.__self__)]
    if isinstance(node, partial):
        return [(".func", node.func), (".args", node.args), (".keywords", node.keywords)]
    if issubclass(type(node), wrapt.ObjectProxy):
        return [(".__wrapped__", node.__wrapped__)]
    return [(f".{name}", value) for name, value in (*_dictionary(node), *_slots(node))]


def _some(members: Iterable[Any]) -> list[Any]:
    try:
        return list(islice(members, MAX_OBJECTS))
    except RuntimeError:  # another thread is changing the container
        return []


def _dictionary(node: Any) -> list[tuple[str, Any]]:
    try:
        attributes = object.__getattribute__(node, "__dict__")
    except Exception:  # noqa: BLE001 - none, or one that a class computes and cannot
        return []
    return _some(attributes.items()) if isinstance(attributes, dict) else []


def _slots(node: Any) -> Iterator[tuple[str, Any]]:
    for base in type(node).__mro__:
        for name, member in base.__dict__.items():
            if type(member) is MemberDescriptorType:
                try:
                    yield name, member.__get__(node)
                except AttributeError:  # never set
                    continue
