"""The placeholders of calls and sessions: which ones belong together, and how long they are remembered."""

from __future__ import annotations

import hmac
import os
from collections import OrderedDict
from threading import Lock
from typing import Final

from llmtrace_sdk.core.vault import Vault

SESSIONS_LIMIT: Final = 1024
"""How many sessions are remembered; the one that was not used for the longest time is forgotten first."""


class Vaults:
    """Vaults by session, bounded. A session is a tenant and a name; no two of them share a placeholder."""

    def __init__(self, limit: int = SESSIONS_LIMIT) -> None:
        self._limit = limit
        self._secret = os.urandom(32)
        self._sessions: OrderedDict[tuple[str | None, str], Vault] = OrderedDict()
        self._lock = Lock()

    def of(self, session: tuple[str | None, str] | None, body: bytes) -> Vault:
        """The vault of a session, or a fresh one of a call, which is told by its body.

        The same body gives the same placeholders, so that a retry sends what the first attempt did.
        """
        if session is None:
            return Vault(hmac.digest(self._secret, body, "sha256"))
        with self._lock:
            vault = self._sessions.pop(session, None) or Vault(os.urandom(32))
            self._sessions[session] = vault
            if len(self._sessions) > self._limit:
                self._sessions.popitem(last=False)
        return vault
