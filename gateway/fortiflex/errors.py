"""One family of errors that says the one thing a caller must know: was the work definitely not done, or is its outcome unknown?"""

import re

from gateway.fortiflex.records import Exchange

SECURITY_TOKEN = "Invalid security token."  # noqa: S105 - FortiFlex's own words, compared to the dot
PARAMETER = re.compile(r"[Pp]arameter id:?\s*(\d+)")


class FortiFlexError(Exception):
    """Base of all. `exchange` is what went over the wire, as far as it went."""

    def __init__(self, message: str, *, exchange: Exchange | None = None) -> None:
        super().__init__(message)
        self.exchange = exchange


class NotDone(FortiFlexError):
    """Definitely not done: safe to try again, or to tell the caller so."""


class NotSent(NotDone):
    """Never left this machine: no connection, no lane, limits used up."""


class LoginRefused(NotDone):
    """The token endpoint refused the API user (wrong password, missing permission)."""


class LoginFailed(NotDone):
    """The token endpoint can't be reached or read. It says nothing about the call that the login was for."""


class Rejected(NotDone):
    """FortiFlex answered with its envelope and refused. `upstream_message` is Fortinet's own text: for the operator's eyes."""

    def __init__(
        self,
        upstream_message: str,
        *,
        status: int,
        http_status: int,
        error_code: str | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        super().__init__(f"FortiFlex refused ({status}, HTTP {http_status}): {upstream_message}", exchange=exchange)
        self.upstream_message = upstream_message
        self.status = status
        self.http_status = http_status
        self.error_code = error_code
        match = PARAMETER.search(upstream_message)
        self.parameter_id = int(match[1]) if match else None


class TokenRejected(Rejected):
    """`Invalid security token.`: expired, unknown, or superseded by another login of the same API user."""


class RateLimited(Rejected):
    """HTTP 429 or -10 (minute), -11 (hour), -12 (token process failed), -30 (too many errors); `status` says which (0 = 429 alone)."""

    def __init__(self, upstream_message: str, *, retry_after_seconds: int | None = None, **more: object) -> None:
        super().__init__(upstream_message, **more)  # type: ignore[arg-type]
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknown(FortiFlexError):
    """Sent, and nobody can say whether it was done. `reason`: timeout, connection_lost, server_error, unreadable_answer, deadline."""

    def __init__(self, reason: str, message: str, *, exchange: Exchange | None = None) -> None:
        super().__init__(message, exchange=exchange)
        self.reason = reason
