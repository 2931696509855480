"""What is given to an SDK in place of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmtrace_sdk.typing import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmtrace_sdk.core.admission import Limited
    from llmtrace_sdk.core.model import Decision
    from llmtrace_sdk.typing import Endpoint, Provider

HEADERS: Final = (("content-type", "application/json"), ("x-should-retry", "false"))
TOO_MANY: Final = 429


def refusal(
    provider: Provider,
    endpoint: Endpoint,
    decision: Decision,
    status: int,
    on_fault: Callable[[str, BaseException], None],
    limited: Limited | None = None,
) -> Refusal:
    """The refusal of a blocked call, in the vendor's own error shape; one that is `limited` says until when."""
    try:
        body = provider.refusal(endpoint, decision, status)
    except Exception as error:  # noqa: BLE001 - a refusal in the wrong shape is still a refusal
        on_fault("refusal", error)
        body = b'{"error":{"code":"llmtrace_blocked"}}'
    headers = (*HEADERS, ("x-llmtrace-blocked", decision.id))
    return Refusal(status, headers if limited is None else (*headers, *_of(limited)), body)


def status_of(limited: Limited | None, blocked: int) -> int:
    """The HTTP status of a refusal (RFC 6585 section 4 for limits)."""
    return blocked if limited is None or limited.code == "blocked_source" else TOO_MANY


def _of(limited: Limited) -> tuple[tuple[str, str], ...]:
    headers = []
    if limited.retry_after_s:
        headers.append(("retry-after", str(limited.retry_after_s)))
    if limited.code == "rate_limit_exceeded" and limited.limit is not None:
        headers += [("x-ratelimit-limit", f"{limited.limit:g}"), ("x-ratelimit-remaining", "0")]
    return tuple(headers)
