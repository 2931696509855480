"""The settings in force, without secrets."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Query

from llmtrace_relay import wire
from llmtrace_relay.api._answers import LiveConfig
from llmtrace_relay.api._context import Here, Operator
from llmtrace_relay.api._params import Asked
from llmtrace_relay.api._reply import Wire, told
from llmtrace_relay.store import Identity
from llmtrace_sdk.config import Settings
from llmtrace_sdk.config.masking import MASK, masked
from llmtrace_sdk.core import wildcards

router = APIRouter(prefix="/api/v1/config", tags=["config"])

SHOWN_URLS = frozenset({"upstream_url"})
_OF_TENANTS = frozenset({"tenant_overrides", "tenant_key_envs"})


@router.get("/live", **told("LiveConfig", "The settings in force"))
def live(_: Annotated[Asked, Query()], who: Operator, here: Here) -> Wire:
    """The settings in force, changes at run time included, without secrets; of other tenants nothing is told."""
    settings = here.policies.settings
    return Wire(wire.encoded(LiveConfig(shown(settings, who), settings.policy_hash)))


def shown(settings: Settings, who: Identity) -> dict[str, Any]:
    """What a caller may see of the settings."""
    values: dict[str, Any] = _without_paths("", masked("", settings))
    return values if who.everywhere else _of_tenant(values, who.tenant_id)


def _without_paths(key: str, value: Any) -> Any:
    """The same, with URLs cut to their host: a webhook's path is as good as a key."""
    if isinstance(value, dict):
        return {name: _without_paths(name, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_paths(key, item) for item in value]
    secret = isinstance(value, str) and "://" in value and key not in SHOWN_URLS
    return _host_of(value) if secret else value


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return MASK
    return f"{parts.scheme}://{host}" + (f"/{MASK}" if parts.path.strip("/") or parts.query else "")


def _of_tenant(value: Any, tenant: str | None) -> Any:
    if isinstance(value, list):
        return [_of_tenant(item, tenant) for item in value if _concerns(item, tenant)]
    if not isinstance(value, dict):
        return value
    return {
        name: {key: own for key, own in inner.items() if key == tenant}
        if name in _OF_TENANTS
        else _of_tenant(inner, tenant)
        for name, inner in value.items()
    }


def _concerns(item: Any, tenant: str | None) -> bool:
    """Whether an item of a list is not an override for other tenants only."""
    match = item.get("match") if isinstance(item, dict) else None
    pattern = match.get("tenant") if isinstance(match, dict) else None
    return pattern is None or wildcards.compiled(pattern).fullmatch(tenant or "") is not None
