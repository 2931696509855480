"""Tells a URL of your own about each call with findings: signed, with retries, and nothing that quotes the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmtrace_sdk.actions._body import encoded, time_of
from llmtrace_sdk.actions._http import Delivery
from llmtrace_sdk.actions._statuses import done, failed, skipped
from llmtrace_sdk.core import action_payloads
from llmtrace_sdk.core.routing import for_action

if TYPE_CHECKING:
    from llmtrace_sdk.actions import Parts
    from llmtrace_sdk.core.model import ActionStatus, CallRecord
    from llmtrace_sdk.core.routing import RouterOptions


class Webhook:
    """The action `webhook`. `content`: the texts of a call may be told too, if they were kept."""

    name = "webhook"

    def __init__(self, router: RouterOptions, delivery: Delivery | None, *, content: bool = False) -> None:
        self._router = router
        self._delivery = delivery
        self._content = content

    def run(self, record: CallRecord, source: str | None) -> ActionStatus:
        """Deliver it; the detail is `http_<status>`, or why there was no answer."""
        if self._delivery is None:
            return skipped(self.name, "no_url")
        findings = for_action(self._router, self.name, record.findings)
        body = action_payloads.webhook(record, findings, source, time_of(record), content=self._content)
        sent = self._delivery.send(encoded(body), record.id)
        return (done if sent.ok else failed)(self.name, sent.detail, sent.attempts)

    def warm(self) -> None:
        """Load now what the first delivery would have to wait for."""
        if self._delivery is not None:
            self._delivery.warm()

    def close(self) -> None:
        """Close the connections."""
        if self._delivery is not None:
            self._delivery.close()


def build(parts: Parts) -> Webhook:
    """The action."""
    options = parts.router.webhook
    key = (parts.secret(options.secret_env) or "") if options.secret_env else ""
    delivery = Delivery(
        options.url,
        timeout_s=options.timeout_ms / 1000,
        attempts=options.max_attempts,
        key=key.encode("utf-8", "surrogateescape"),
    )
    return Webhook(parts.router, delivery if options.url else None, content=parts.content)
