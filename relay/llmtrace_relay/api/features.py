"""What can be changed while the relay runs, for all tenants: by the operator of the relay alone."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from llmtrace_relay import wire
from llmtrace_relay.api._administration import FeatureValue, FeatureValues
from llmtrace_relay.api._audited import audited
from llmtrace_relay.api._context import Admin, Context, Here
from llmtrace_relay.api._errors import ApiError
from llmtrace_relay.api._params import Asked
from llmtrace_relay.api._reply import Wire, told
from llmtrace_relay.features import Flag, apply, in_force, warnings, wrong
from llmtrace_relay.store import Identity
from llmtrace_sdk.config import Settings
from llmtrace_sdk.errors import ConfigError

router = APIRouter(prefix="/api/v1/config/features", tags=["config"])


class FeatureError(ApiError):
    """Why a flag was not set, with a `code` for programs."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, message)
        self.code = code

    def body(self) -> dict[str, object]:
        """The answer."""
        return {"error": {"message": self.message, "type": self.kind, "code": self.code}}


@router.get("", **told("Features", "The flags"))
def every(_: Annotated[Asked, Query()], who: Admin, here: Here) -> Wire:  # noqa: ARG001 - it is `Admin` that counts
    """All flags, as they are or will be within seconds in force, and as they are in the worker that answers."""
    settings, changed = here.policies.settings, _changed(here)
    effective = in_force(settings)
    answer = {**effective, **changed, "effective": effective, "changed": changed, "warnings": warnings(settings)}
    return Wire(wire.encoded(answer))


@router.put("", **told("FeaturesSet", "The flags as they are now"))
def change(new: FeatureValues, who: Admin, here: Here) -> Wire:
    """Set some flags at once: all of them or none. null takes back what was set at run time."""
    settings = _set(new.features, who, here)
    return Wire(wire.encoded({"features": in_force(settings), "warnings": warnings(settings)}))


@router.put("/{feature}", **told("FeatureSet", "The flags as they are now"))
def change_one(feature: str, new: FeatureValue, who: Admin, here: Here) -> Wire:
    """Set one flag. null takes back what was set at run time."""
    _check({feature: new.value}, who)
    previous = in_force(here.policies.settings)[feature]
    settings = _set({feature: new.value}, who, here)
    answer = {"updated": feature, "previous": previous}
    return Wire(wire.encoded({**answer, "features": in_force(settings), "warnings": warnings(settings)}))


def _changed(here: Context) -> dict[str, Flag]:
    """What is set at run time and known to this version."""
    return {name: value for name, value in here.store.flags().items() if wrong(name, value) is None}


def _check(flags: dict[str, Any], who: Identity) -> None:
    if not who.everywhere:
        words = "flags are those of all tenants, so only the operator of the relay may set them"
        raise ApiError(403, f"{words}; use auth.admin_key, without naming a tenant", "auth_error")
    for name, value in flags.items():
        found = wrong(name, value)
        if found is not None:
            raise FeatureError(400, found.code, found.words)


def _set(flags: dict[str, Any], who: Identity, here: Context) -> Settings:
    """Set flags; gives the settings with them."""
    _check(flags, who)
    before = here.policies.settings
    try:
        apply(before, flags)
    except ConfigError as error:
        raise FeatureError(422, "validation_error", "; ".join(error.problems)) from None
    here.store.set_flags(flags)
    here.policies.changed()
    for name, value in flags.items():
        previous = in_force(before)[name]
        if value != previous or value is None:
            audited(here, who, "feature_flag_changed", f"feature:{name}", None, previous=previous, value=value)
    # a policy may be put in force by another thread, in its own time; what was set counts as set
    return _with(here.policies.settings, flags)


def _with(settings: Settings, flags: dict[str, Any]) -> Settings:
    try:
        return apply(settings, flags)
    except ConfigError:  # the configuration has changed at this very moment
        return settings
