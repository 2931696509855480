"""What the routes of the API share: the store, the settings, and who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol

from fastapi import Depends, Request

from llmtrace_relay.api._errors import ApiError
from llmtrace_relay.model import ROLES
from llmtrace_relay.store import Identity
from llmtrace_sdk.core.masking import without_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_relay.model import Role
    from llmtrace_relay.store import Store
    from llmtrace_sdk.config import Settings

SCOPE_KEY = "llmtrace.identity"
"""Where the ASGI scope of a request has its `Identity`."""


class Policies(Protocol):
    """The settings in force, and how they are changed at run time."""

    @property
    def settings(self) -> Settings:
        """What is in force, run-time changes included."""

    def changed(self) -> None:
        """The flags of the store have changed: put them in force here, and tell the other processes."""


MOMENT_S: Final = 0.25
"""How long a look waits for that: not for a database that is slow or away."""


@dataclass(frozen=True, slots=True)
class Context:
    """`now_us`: microseconds since the Unix epoch. `flush` writes what waits for the database, within seconds.

    `redact`: a text that is reported to the API -> the text as it is kept where the settings ask for `redacted`.
    `forget_keys`: keys, tokens or tenants have changed; `Authenticator.forget`.
    """

    store: Store
    policies: Policies
    now_us: Callable[[], int]
    flush: Callable[[float], bool]
    redact: Callable[[str], str] = field(default=without_keys)
    forget_keys: Callable[[], None] = field(default=lambda: None)

    @property
    def fresh(self) -> Store:
        """The store, with the calls that have ended by now: who makes a call and looks at once finds it."""
        self.flush(MOMENT_S)
        return self.store


def context(request: Request) -> Context:
    """The context of the application that a request came to."""
    found: Context = request.app.state.context
    return found


def identity(request: Request) -> Identity:
    """Who asks."""
    found: Identity = request.scope[SCOPE_KEY]
    return found


def require(role: Role) -> Any:
    """A dependency: the caller's `Identity`, refused with 403 below a role."""

    async def check(request: Request) -> Identity:  # async, or it would wait for a thread of its own
        who = identity(request)
        if ROLES.index(who.role) < ROLES.index(role):
            raise ApiError(403, f"this needs the role {role}, the key has {who.role}", "auth_error")
        return who

    return Depends(check)


def tenant_of(who: Identity, asked: str | None) -> str | None:
    """Whose data a caller is to see: `asked`, where that is allowed; None is everybody's, for the operator alone."""
    if who.everywhere:
        return asked
    if who.tenant_id is None:
        raise ApiError(403, "the key belongs to no tenant; use one that does", "auth_error")
    if asked is not None and asked != who.tenant_id:
        raise ApiError(403, "tenant_id: only the operator of the relay may ask for another tenant", "auth_error")
    return who.tenant_id


async def _here(request: Request) -> Context:
    return context(request)


Here = Annotated[Context, Depends(_here)]
Viewer = Annotated[Identity, require("viewer")]
Operator = Annotated[Identity, require("operator")]
Admin = Annotated[Identity, require("admin")]
