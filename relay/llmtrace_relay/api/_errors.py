"""Errors of the API, as JSON: `{"error": {"message", "type"}}`."""

from __future__ import annotations

from typing import Literal

ErrorType = Literal["api_error", "auth_error", "proxy_error"]


class ApiError(Exception):
    """What a request is answered with instead of what it asked for."""

    def __init__(self, status: int, message: str, kind: ErrorType = "api_error") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind

    def body(self) -> dict[str, object]:
        """The answer."""
        return {"error": {"message": self.message, "type": self.kind}}
