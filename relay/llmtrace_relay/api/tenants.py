"""Tenants: the operator of the relay adds them and sees all; the admin of one has the say over that one."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query
from msgspec import structs
from starlette.responses import Response

from llmtrace_relay import wire
from llmtrace_relay.api._administration import DONE, NewTenant, TenantChange
from llmtrace_relay.api._audited import audited
from llmtrace_relay.api._context import Admin, Context, Here, Viewer
from llmtrace_relay.api._errors import ApiError
from llmtrace_relay.api._params import DEFAULT_LIMIT, Asked, Limit, Offset, TenantId
from llmtrace_relay.api._reply import PRIVATE, Wire, told
from llmtrace_relay.keys import key_hash, key_prefix, new_key
from llmtrace_relay.model import ApiKey, Tenant
from llmtrace_relay.store import Identity, Page

router = APIRouter(prefix="/api/v1/tenants", tags=["access"])

FIRST_KEY = "default"
_GONE = (
    "tokens are told once, when a tenant is added or its token is reset: nothing is kept of them but a hash; "
    "POST /api/v1/tenants/{tenant_id}/token/reset makes another"
)


class _Pages(Asked):
    """Which page."""

    limit: Limit = DEFAULT_LIMIT
    offset: Offset = 0


@router.post("", **told("TenantCreated", "The tenant, with its token and first key", 201))
def create(new: NewTenant, who: Admin, here: Here) -> Wire:
    """Add a tenant. Its token and its first key, of an admin, are told here and never again."""
    _only_the_operator(who, "add tenants")
    at = here.now_us()
    tenant = Tenant(id=str(uuid.uuid4()), name=new.name, plan=new.plan, created_at=at, config=new.config)
    token, key = new_key(), new_key()
    record = ApiKey(
        id=str(uuid.uuid4()),
        tenant_id=tenant.id,
        name=FIRST_KEY,
        key_prefix=key_prefix(key),
        role="admin",
        created_at=at,
    )
    here.store.put_tenant(tenant)
    here.store.set_token(tenant.id, key_hash(token))
    here.store.add_key(record, key_hash(key))
    here.forget_keys()
    audited(here, who, "tenant_created", f"tenant:{tenant.id}", tenant.id, name=tenant.name, plan=tenant.plan)
    audited(here, who, "api_key_created", f"api_key:{record.id}", tenant.id, name=FIRST_KEY, role="admin")
    answer = {**wire.plain(tenant), "api_token": token, "api_key": key, "api_key_id": record.id}
    return Wire(wire.encoded(answer), 201)


@router.get("", **told("TenantPage", "Tenants, the oldest first"))
def every(ask: Annotated[_Pages, Query()], who: Admin, here: Here) -> Wire:
    """All tenants, for the operator of the relay; for the admin of a tenant, that one."""
    if who.everywhere:
        return Wire(wire.page(here.store.tenants(ask.limit, ask.offset)))
    own = here.store.tenant(who.tenant_id) if who.tenant_id else None
    rows = (own,) if own is not None else ()
    return Wire(wire.page(Page(rows[ask.offset :][: ask.limit], len(rows), ask.limit, ask.offset)))


@router.get("/{tenant_id}", **told("Tenant", "The tenant"))
def one(tenant_id: TenantId, who: Admin, here: Here) -> Wire:
    """One tenant."""
    return Wire(wire.encoded(wire.plain(_tenant(tenant_id, who, here))))


@router.put("/{tenant_id}", **told("Tenant", "The tenant as it is now"))
def change(tenant_id: TenantId, new: TenantChange, who: Admin, here: Here) -> Wire:
    """Change what is given. The plan is the operator's to change."""
    tenant = _tenant(tenant_id, who, here)
    given = {name: value for name, value in new.model_dump().items() if value is not None}
    if not given:
        raise ApiError(400, "body: give name, plan or config")
    if new.plan not in (None, tenant.plan):
        _only_the_operator(who, "change the plan of a tenant")
    changed = structs.replace(tenant, **given)
    here.store.put_tenant(changed)
    here.forget_keys()
    what = [name for name in given if getattr(changed, name) != getattr(tenant, name)]
    audited(here, who, "tenant_updated", f"tenant:{tenant.id}", tenant.id, changed=what)
    return Wire(wire.encoded(wire.plain(changed)))


@router.delete("/{tenant_id}", **DONE)
def delete(tenant_id: TenantId, who: Admin, here: Here) -> Response:
    """Delete a tenant with its keys and all its calls. Its audit stays."""
    tenant = _tenant(tenant_id, who, here)
    if not here.store.delete_tenant(tenant.id):
        raise _unknown()
    here.forget_keys()
    audited(here, who, "tenant_deleted", f"tenant:{tenant.id}", tenant.id, name=tenant.name)
    return Response(status_code=204, headers=PRIVATE)


@router.post("/{tenant_id}/token/reset", **told("TokenReset", "The new token"))
def reset(tenant_id: TenantId, who: Admin, here: Here) -> Wire:
    """Make another token for a tenant. It is told here and never again; the one before is worth nothing any more."""
    tenant = _tenant(tenant_id, who, here)
    token = new_key()
    if not here.store.set_token(tenant.id, key_hash(token)):
        raise _unknown()
    here.forget_keys()
    audited(here, who, "tenant_token_reset", f"tenant:{tenant.id}", tenant.id)
    return Wire(wire.encoded({"api_token": token}))


@router.get("/{tenant_id}/token", status_code=410, response_class=Wire, responses={410: {"description": _GONE}})
def token(tenant_id: str, who: Viewer) -> Wire:  # noqa: ARG001 - whoever asks, and for whichever, gets the same answer
    """Tokens cannot be read: nothing is kept of them but a hash."""
    raise ApiError(410, _GONE)


def _tenant(tenant_id: str, who: Identity, here: Context) -> Tenant:
    """A tenant that the caller has the say over. Whether there is another is not told."""
    if not who.everywhere and who.tenant_id != tenant_id:
        raise _unknown()
    found = here.store.tenant(tenant_id)
    if found is None:
        raise _unknown()
    return found


def _unknown() -> ApiError:
    return ApiError(404, "there is no such tenant, or it is not yours; GET /api/v1/tenants has those that are")


def _only_the_operator(who: Identity, what: str) -> None:
    if not who.everywhere:
        words = f"only the operator of the relay may {what}; use auth.admin_key, without naming a tenant"
        raise ApiError(403, words, "auth_error")
