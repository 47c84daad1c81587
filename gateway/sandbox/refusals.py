"""What the sandbox refuses, in FortiFlex's envelope (FortiFlex API reference, 2.6)."""

from typing import Any

SECURITY_TOKEN = "Invalid security token."  # noqa: S105 - FortiFlex's own words


class Refusal(Exception):
    """An API failure: HTTP code, body status, message, and sometimes an `error` object."""

    def __init__(self, message: str, *, http_status: int = 400, status: int = -1, error: Any = None) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.status = status
        self.error = error
