"""What a decision does to the bytes of a call: the request without what must not leave, the answer put right again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmtrace_sdk.core import redaction
from llmtrace_sdk.core.streaming import HeldStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmtrace_sdk.core.endings import Ending
    from llmtrace_sdk.core.hygiene import Hardened
    from llmtrace_sdk.core.intake import Intake
    from llmtrace_sdk.core.model import Finding, Labels, Prompt, Segment
    from llmtrace_sdk.core.policy import Policy
    from llmtrace_sdk.core.scan import Engine
    from llmtrace_sdk.core.vault import Vault


class Treatment:
    """The changes to one call. `sent` is the request's body with what the policy takes out, `given` the body of a whole
    answer, `held` a stream that is let through piece by piece; None where everything stays as it is. `ending` is there
    where a stream that has to stop shall end in the vendor's own shape.
    """

    __slots__ = ("_changes", "_vault", "_vault_of", "ending", "given", "hardened", "held", "sent")

    def __init__(self, vault_of: Callable[[tuple[str | None, str] | None, bytes], Vault]) -> None:
        self._vault_of = vault_of
        self._vault: Vault | None = None
        self._changes = 0
        self.sent: bytes | None = None
        self.given: bytes | None = None
        self.hardened: Hardened | None = None
        self.held: HeldStream | None = None
        self.ending: Ending | None = None

    @property
    def changes(self) -> int:
        """How often something was taken out or put back."""
        return self._changes + (self.held.changes if self.held is not None else 0)

    @property
    def known(self) -> Vault | None:
        """The placeholders that the answer may have in it; None without any."""
        return self._vault if self._vault is not None and len(self._vault) else None

    def redact_request(
        self, body: bytes, found: Sequence[Finding], segments: Sequence[Segment], policy: Policy, labels: Labels
    ) -> bool:
        """Take out of the request what was found; False when that cannot be done."""
        if policy.options.pseudonyms != "off":
            self._vault = self._vault_of(_session(policy, labels), body)
        self.sent = redaction.request(body, found, segments, self._vault)
        if self.sent is not None:
            self._changes += len(found)
        return self.sent is not None

    def harden(self, body: bytes, prompt: Prompt, harden: Callable[[bytes, Prompt], Hardened]) -> None:
        """Set apart in the request, redacted or not, what tools and documents say."""
        before = body if self.sent is None else self.sent
        self.hardened = harden(before, prompt)
        if self.hardened.body is not before:
            self.sent = self.hardened.body
            self._changes += self.hardened.wrapped + self.hardened.marked

    def recall(self, policy: Policy, labels: Labels) -> None:
        """Placeholders of a session may come back in any of its calls."""
        session = _session(policy, labels)
        if self._vault is None and session is not None and policy.may_stop:
            self._vault = self._vault_of(session, b"")

    def hold(
        self,
        engine: Engine,
        policy: Policy,
        intake: Intake,
        limit: int,
        *,
        refused: bool = False,
        allowance: int | None = None,
    ) -> bool:
        """Hold a stream, if anything in it could be stopped or changed; `refused`: it is an error of the vendor's."""
        if policy.may_stop_output or self.known is not None or allowance is not None:
            self.held = HeldStream(
                engine, policy, intake, self.known, limit, refused=refused, allowance=allowance, ending=self.ending
            )
        return self.held is not None

    def give(self, body: bytes, found: Sequence[Finding], segments: Sequence[Segment]) -> bool:
        """Make of a whole answer what is given out; False when something that was found cannot be taken out."""
        if not found and self.known is None:
            return True
        changed, count = redaction.answer(body, found, segments, self.known)
        self._changes += count
        self.given = changed if changed != body else None
        return changed is not None


def _session(policy: Policy, labels: Labels) -> tuple[str | None, str] | None:
    """Whose placeholders these are; None when they are of one call alone."""
    if policy.options.pseudonyms != "session" or labels.session is None:
        return None
    return labels.tenant, labels.session
