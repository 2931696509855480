"""Finds the HTTP clients inside an SDK object and wraps their transports in place; `install()` does it process-wide.

A client's transport is never replaced by a fresh one: that would silently drop the proxies from the environment and
the SDK's own limits. It is wrapped where it is, and so is every mount.
"""

from __future__ import annotations

import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import wrapt

from llmtrace_sdk import config as configuration
from llmtrace_sdk import families, resolvers, runtime
from llmtrace_sdk.errors import NothingInstrumented
from llmtrace_sdk.transport import Tap, bypass

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from llmtrace_sdk.config import Settings

Client = TypeVar("Client")

_lock = threading.RLock()
_taps: weakref.WeakKeyDictionary[Any, list[Tap]] = weakref.WeakKeyDictionary()
_installed = False
_patched: dict[type, Any] = {}


def instrument(
    client: Client, *, config: str | os.PathLike[str] | Mapping[str, Any] | Settings | None = None
) -> Client:
    """Wrap the HTTP transports inside an SDK client, or an httpx/httpx2 client, and return the same object.

    Idempotent. With `config` the client gets a pipeline of its own; without, it follows `configure(...)`. SDK clients
    that share an HTTP client are all covered by instrumenting one of them. Raises `NothingInstrumented` when there is
    no HTTP client in the object, and `ConfigError` when the settings cannot be used.
    """
    replace = config is not None
    wrap = partial(_wrap, source=_source(config), replace=replace)
    found = resolvers.resolve(client, wrap=wrap, replace=replace)
    for http_client in found.clients:
        wrap(http_client)
    if not found.clients and not found.hooked:
        raise NothingInstrumented(f"{type(client).__module__}.{type(client).__qualname__}", found.looked_at, found.hint)
    return client


def uninstrument(client: Client) -> Client:
    """Take our wrappers out again, where they are still in place; one that somebody else has wrapped stands aside."""
    for http_client in resolvers.resolve(client, unhook=True).clients:
        with _lock:
            for tap in _taps.pop(http_client, ()):
                bypass(tap)
            http_client._transport = _untapped(http_client._transport)
            for pattern, transport in http_client._mounts.items():
                http_client._mounts[pattern] = _untapped(transport)
    return client


def install() -> None:
    """Cover every httpx and httpx2 client of the process, present and future, lazy and module-level ones too.

    Requests whose wire format and host nobody knows pass without a trace. Idempotent. Raises `ConfigError` when the
    settings cannot be used.
    """
    global _installed
    runtime.current().warm()
    with _lock:
        if _installed:
            return
        _installed = True
        for name in families.NAMES:
            wrapt.register_post_import_hook(_patch, name)
        for module in families.loaded():
            _patch(module)


def uninstall() -> None:
    """Undo `install()`. Clients given to `instrument()` stay instrumented."""
    global _installed
    with _lock:
        _installed = False
        for kind, original in _patched.items():
            current = kind.__dict__.get("_transport_for_url")
            if getattr(current, "__wrapped__", None) is original:
                kind._transport_for_url = original  # type: ignore[attr-defined]
        _patched.clear()


def _source(config: str | os.PathLike[str] | Mapping[str, Any] | Settings | None) -> Callable[[], runtime.Runtime]:
    """Where a tap gets its runtime from, per call; also the moment to report bad settings and to compile the rules."""
    if config is None:
        runtime.current().warm()
        return runtime.current
    own = runtime.Runtime(configuration.load(config))
    own.warm()
    return lambda: own


def _wrap(client: Any, source: Callable[[], runtime.Runtime], *, replace: bool) -> None:
    with _lock:
        known: dict[int, Tap] = {}

        def tapped(transport: Any) -> Any:
            if transport is None:  # a NO_PROXY rule: "use the default transport"
                return None
            if type(transport) is Tap:
                if replace:
                    transport._self_runtime = source
                return transport
            if id(transport) not in known:
                known[id(transport)] = Tap(transport, source, everything=True)
            return known[id(transport)]

        client._transport = tapped(client._transport)
        for pattern, transport in client._mounts.items():
            client._mounts[pattern] = tapped(transport)
        _taps.setdefault(client, []).extend(known.values())


def _untapped(transport: Any) -> Any:
    return transport.__wrapped__ if type(transport) is Tap else transport


def _patch(module: Any) -> None:
    with _lock:
        for kind in (module.Client, module.AsyncClient):
            if _installed and kind not in _patched:
                _patched[kind] = kind._transport_for_url
                wrapt.wrap_function_wrapper(kind, "_transport_for_url", _route)


def _route(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    transport = wrapped(*args, **kwargs)
    if not _installed or type(transport) is Tap or families.is_own(instance):
        return transport
    return Tap(transport, runtime.current, everything=False)
