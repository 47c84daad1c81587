"""From an exchange to a decoded envelope or the right error (FortiFlex API reference, 2.6; which answers mean "not done" is decided here)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Any

import httpx

from gateway.fortiflex.errors import SECURITY_TOKEN, NotDone, OutcomeUnknown, RateLimited, Rejected, TokenRejected
from gateway.fortiflex.records import Exchange
from gateway.fortiflex.wire import UnreadableError, decode_object

LONGEST_RETRY_AFTER = 86_400
LIMIT_STATUSES = frozenset({-10, -11, -12, -30})
# Without a readable envelope these are the web tier's own refusals: the request reached no handler.
TIER_REFUSALS = frozenset({401, 403, 404, 405, 411, 413, 414, 415, 431})


def judge(exchange: Exchange, headers: httpx.Headers) -> dict[str, Any]:
    """The envelope of a success (status 0). Otherwise NotDone or OutcomeUnknown, as the answer allows."""
    http_status = exchange.http_status or 0
    try:
        envelope = decode_object(exchange.body)
        if envelope.get("message") == SECURITY_TOKEN:  # whatever the HTTP code, and whatever the status (reference 1.9)
            raise TokenRejected(SECURITY_TOKEN, status=-1, http_status=http_status, exchange=exchange)
        status = _status_of(envelope)
    except UnreadableError as error:
        raise _verdict_without_envelope(exchange, headers, str(error)) from error
    if 300 <= http_status < 400:
        raise OutcomeUnknown("unreadable_answer", "FortiFlex redirected the call.", exchange=exchange)
    if http_status >= 500:
        raise OutcomeUnknown("server_error", f"FortiFlex answered HTTP {http_status}.", exchange=exchange)
    if status == 0 and 200 <= http_status < 300:
        return envelope
    if status == 0:
        raise OutcomeUnknown(
            "unreadable_answer", f"FortiFlex answered success with HTTP {http_status}.", exchange=exchange
        )
    message, code = str(envelope.get("message") or ""), _error_code(envelope.get("error"))
    if status in LIMIT_STATUSES or http_status == 429:
        raise RateLimited(
            message,
            status=status,
            http_status=http_status,
            error_code=code,
            exchange=exchange,
            retry_after_seconds=_retry_after(headers),
        )
    raise Rejected(message, status=status, http_status=http_status, error_code=code, exchange=exchange)


def _verdict_without_envelope(exchange: Exchange, headers: httpx.Headers, why: str) -> NotDone | OutcomeUnknown:
    http_status = exchange.http_status or 0
    if http_status == 429:
        return RateLimited(
            "Too many requests.",
            status=0,
            http_status=429,
            exchange=exchange,
            retry_after_seconds=_retry_after(headers),
        )
    if http_status in TIER_REFUSALS:
        return NotDone(f"FortiFlex's web tier answered HTTP {http_status}.", exchange=exchange)
    reason = "server_error" if http_status >= 500 else "unreadable_answer"
    return OutcomeUnknown(reason, f"HTTP {http_status}: {why}", exchange=exchange)


def _status_of(envelope: dict[str, Any]) -> int:
    status = envelope.get("status")
    if isinstance(status, bool) or not isinstance(status, int):
        raise UnreadableError("The answer has no 'status'.")
    return status


def _error_code(error: Any) -> str | None:
    """`error` is null, a string, or an object with `errorCode`."""
    if isinstance(error, dict):
        return str(error["errorCode"]) if error.get("errorCode") is not None else None
    return str(error) if error else None


def _retry_after(headers: httpx.Headers) -> int | None:
    """Seconds or a date (RFC 9110, 10.2.3). More than a day is a mistake of somebody's: it is asked again then."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:10]), LONGEST_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:  # "-0000": of no zone, which means UTC
        until = until.replace(tzinfo=UTC)
    return max(0, min(ceil((until - datetime.now(UTC)).total_seconds()), LONGEST_RETRY_AFTER))
