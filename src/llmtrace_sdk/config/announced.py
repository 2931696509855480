"""What one process may set for others: what decides about calls, and nothing that leads out of a process.

An announcement must not make a process read a file, open a URL that it did not know, or read an environment variable
of the announcer's choice. So the keys are listed here, and a new one is not among them by itself: `tests` compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from llmtrace_sdk.config import checking

if TYPE_CHECKING:
    from collections.abc import Iterator

MAY_BE_ANNOUNCED: Final = (
    "enforcement",
    "security_analysis.operating_point",
    "boundary_defense",
    "datamarking",
    "credential_guard",
    "anomaly_detection",
    "action_router.enabled",
    "action_router.default_actions",
    "action_router.rules",
    "action_router.ip_block",
    "action_router.session_block",
    "action_router.agent_block",
    "action_router.judge_route",
    "action_router.trusted_proxies",
    "action_router.exempt_networks",
    "rate_limiting",
    "cost_caps",
)
"""Keys and whole groups. Of `action_router` all but `webhook`: where to, and signed with what, each process knows."""

MAY_BE_SWITCHED: Final = (*MAY_BE_ANNOUNCED, "ml.enabled", "judge.enabled")
"""What those who run a process may set while it runs, too: texts go to a model, or another vendor, then."""

NAME_CHARS: Final = 80


def may_be_announced(name: str, allowed: tuple[str, ...] = MAY_BE_ANNOUNCED) -> bool:
    """Whether a key, as people write it, is one of them."""
    return any(name == each or name.startswith((f"{each}.", f"{each}[")) for each in allowed)


def strangers(tree: Mapping[Any, Any], allowed: tuple[str, ...] = MAY_BE_ANNOUNCED, above: str = "") -> Iterator[str]:
    """What must not be announced, one sentence for each key."""
    for key, value in tree.items():
        name = f"{above}{key}"
        if may_be_announced(name, allowed):
            continue
        if isinstance(value, Mapping) and any(each.startswith(f"{name}.") for each in allowed):
            yield from strangers(value, allowed, f"{name}.")
        else:
            yield f"{name[:NAME_CHARS]}: cannot be announced; what can: {', '.join(allowed)}"


def problems(tree: Mapping[str, Any]) -> list[str]:
    """What is wrong with a policy wherever it comes to, one sentence each.

    A process that it comes to may object to more, when it does not fit what that one has set itself.
    """
    found = list(strangers(tree))
    if found:
        return found
    settings, wrong = checking.check(checking.normal(tree))
    if settings is None:
        return [problem.sentence({}, quiet=False) for problem in wrong]
    # what is said of other keys (an action needs a URL) is for those who have set them
    return [said for said in checking.deeper(settings, {}) if may_be_announced(said.partition(":")[0])]
