"""Keys to the relay: an admin makes, lists and revokes those of the own tenant, the operator those of all."""

import uuid
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from llmtrace_relay import wire
from llmtrace_relay.api._administration import DONE, NewKey
from llmtrace_relay.api._audited import audited
from llmtrace_relay.api._context import Admin, Context, Here, tenant_of
from llmtrace_relay.api._errors import ApiError
from llmtrace_relay.api._params import Paged, TenantId
from llmtrace_relay.api._reply import PRIVATE, Wire, told
from llmtrace_relay.keys import key_hash, key_prefix, new_key
from llmtrace_relay.model import ApiKey
from llmtrace_relay.store import Identity

router = APIRouter(prefix="/api/v1/auth/keys", tags=["access"])

_TENANT_MISSING = (
    "tenant_id: is missing; give the tenant that the key is for, or null for a key of the operator, for all tenants"
)
_MICROSECOND = timedelta(microseconds=1)


@router.post("", **told("KeyCreated", "The key", 201))
def create(new: NewKey, who: Admin, here: Here) -> Wire:
    """Make a key. It is told here and never again."""
    at, tenant_id, key = here.now_us(), _whose(new, who, here), new_key()
    record = ApiKey(
        id=str(uuid.uuid4()),
        tenant_id=tenant_id,
        name=new.name,
        key_prefix=key_prefix(key),
        role=new.role,
        created_at=at,
        expires_at=_end(new, at),
    )
    here.store.add_key(record, key_hash(key))
    here.forget_keys()
    expires = None if record.expires_at is None else wire.rfc3339(record.expires_at)
    audited(
        here,
        who,
        "api_key_created",
        f"api_key:{record.id}",
        tenant_id,
        name=new.name,
        role=new.role,
        expires_at=expires,
    )
    told_of = ("id", "key_prefix", "tenant_id", "name", "role", "created_at", "expires_at")
    plain = wire.plain(record)
    return Wire(wire.encoded({"key": key, **{name: plain[name] for name in told_of}}), 201)


@router.get("", **told("ApiKeyPage", "Keys, the newest first"))
def every(ask: Annotated[Paged, Query()], who: Admin, here: Here) -> Wire:
    """The keys of the caller's tenant; for the operator of the relay, of all. The keys themselves are not kept."""
    return Wire(wire.page(here.store.keys(tenant_of(who, ask.tenant_id), ask.limit, ask.offset)))


@router.delete("/{key_id}", **DONE)
def revoke(key_id: TenantId, who: Admin, here: Here) -> Response:
    """Revoke a key. This worker refuses it at once, others within five seconds."""
    scope = tenant_of(who, None)
    key = here.store.key(scope, key_id)
    if key is None or not here.store.revoke_key(scope, key_id, here.now_us()):
        raise ApiError(404, "there is no such key that is not revoked; GET /api/v1/auth/keys has yours")
    here.forget_keys()
    audited(here, who, "api_key_revoked", f"api_key:{key.id}", key.tenant_id, name=key.name, role=key.role)
    return Response(status_code=204, headers=PRIVATE)


def _whose(new: NewKey, who: Identity, here: Context) -> str | None:
    """The tenant that a key is for; None is the operator of the relay."""
    given = "tenant_id" in new.model_fields_set
    if not who.everywhere:
        if given and new.tenant_id is None:
            raise ApiError(403, "tenant_id: only the operator of the relay may make keys for all tenants", "auth_error")
        return _there(tenant_of(who, new.tenant_id), here)
    if not given:
        raise ApiError(400, _TENANT_MISSING)
    if new.tenant_id is None:
        if new.role != "admin":
            raise ApiError(400, "role: a key for all tenants is an admin's; give tenant_id, or the role admin")
        return None
    return _there(new.tenant_id, here)


def _there(tenant_id: str | None, here: Context) -> str:
    if tenant_id is None or here.store.tenant(tenant_id) is None:
        raise ApiError(404, "there is no such tenant; POST /api/v1/tenants adds one")
    return tenant_id


def _end(new: NewKey, at: int) -> int | None:
    """When a key ends, in microseconds since the Unix epoch."""
    if new.expires_at is not None and new.expires_in_days is not None:
        raise ApiError(400, "expires_at, expires_in_days: give one of them")
    end = new.expires_at
    if new.expires_in_days is not None:
        end = at + timedelta(days=new.expires_in_days) // _MICROSECOND
    if end is not None and end <= at:
        raise ApiError(400, "expires_at: is over already; give a time to come")
    return end
