"""What the tests know of Compose files, by the Compose specification: the keys that we use, and `${VARIABLE}`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TOP = {"name": str, "services": dict, "volumes": dict}
SERVICE = {
    "build": dict,
    "image": str,
    "command": list,
    "environment": dict,
    "ports": list,
    "volumes": list,
    "tmpfs": list,
    "read_only": bool,
    "cap_drop": list,
    "security_opt": list,
    "stop_grace_period": str,
    "restart": str,
    "depends_on": dict,
    "healthcheck": dict,
    "profiles": list,
}
HEALTHCHECK = {"test", "interval", "timeout", "retries", "start_period"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
RESTART = {"no", "always", "on-failure", "unless-stopped"}
DURATION = re.compile(r"\d+(?:ms|s|m|h)")
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")


def filled(text: str, given: Mapping[str, str]) -> str:
    """A value with its variables in it. Raises `KeyError` for one that must be given and is not."""

    def one(match: re.Match[str]) -> str:
        name, sign, rest = match.groups()
        if given.get(name):
            return given[name]
        if sign == ":-":
            return str(rest)
        raise KeyError(name)

    return _VARIABLE.sub(one, text)


def problems(tree: Mapping[str, Any]) -> list[str]:
    """What of a Compose file is not as the specification has it, as far as we use it."""
    found = [f"{key} is no {kind.__name__}" for key, kind in TOP.items() if not isinstance(tree.get(key), kind)]
    found += [f"unknown key {key}" for key in tree.keys() - TOP.keys()]
    for name, service in tree["services"].items():
        found += [f"{name}.{problem}" for problem in _of_service(service, tree)]
    return found


def _of_service(service: Mapping[str, Any], tree: Mapping[str, Any]) -> list[str]:
    found = [f"{key}: unknown" for key in service.keys() - SERVICE.keys()]
    found += [f"{key}: no {SERVICE[key].__name__}" for key, value in service.items() if not _is(key, value)]
    if ("image" in service) == ("build" in service):
        found.append("image or build: one of them")
    check = service.get("healthcheck", {})
    found += [f"healthcheck.{key}: unknown" for key in check.keys() - HEALTHCHECK]
    times = [check[key] for key in ("interval", "timeout", "start_period") if key in check]
    times += [service["stop_grace_period"]] if "stop_grace_period" in service else []
    found += [f"{time}: no duration" for time in times if not DURATION.fullmatch(time)]
    if check and check["test"][0] not in ("CMD", "CMD-SHELL"):
        found.append("healthcheck.test: begins with neither CMD nor CMD-SHELL")
    if service.get("restart", "no") not in RESTART:
        found.append("restart: unknown")
    for other, how in service.get("depends_on", {}).items():
        if other not in tree["services"] or how.get("condition") not in CONDITIONS:
            found.append(f"depends_on.{other}: unknown")
        elif how["condition"] == "service_healthy" and not _has_check(tree["services"][other]):
            found.append(f"depends_on.{other}: has no healthcheck")
    named = [volume.partition(":")[0] for volume in service.get("volumes", [])]
    found += [f"volume {name}: not declared" for name in named if name[0] not in "./" and name not in tree["volumes"]]
    given = service.get("environment", {})
    found += [f"environment.{key}: no text" for key, value in given.items() if not isinstance(value, str)]
    return found


def _is(key: str, value: object) -> bool:
    return key not in SERVICE or isinstance(value, SERVICE[key])


def _has_check(service: Mapping[str, Any]) -> bool:
    return "healthcheck" in service or "build" in service  # our own image brings its own
