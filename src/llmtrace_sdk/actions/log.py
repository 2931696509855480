"""Writes one warning to the `llmtrace` logger of Python's logging for a call with findings; it quotes nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from llmtrace_sdk.actions._statuses import done
from llmtrace_sdk.core.sentences import plain

if TYPE_CHECKING:
    from llmtrace_sdk.actions import Parts
    from llmtrace_sdk.core.model import ActionStatus, CallRecord

_log = logging.getLogger("llmtrace")
TYPES_SHOWN: Final = 10


class Log:
    """The action `log`."""

    name = "log"
    quick = True

    def run(self, record: CallRecord, _source: str | None) -> ActionStatus:
        """Write the line."""
        findings = record.findings
        types = sorted({plain(finding.type) for finding in findings})[:TYPES_SHOWN]
        worst = max((finding.severity for finding in findings), default=None)
        _log.warning(
            "llmtrace call %s: %d findings (%s), worst %s, decision %s",
            plain(record.id),
            len(findings),
            ", ".join(types),
            worst.label if worst is not None else "none",
            record.decision.action,
        )
        return done(self.name)


def build(_parts: Parts) -> Log:
    """The action."""
    return Log()
