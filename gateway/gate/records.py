"""The rows that the windows count: one per request put on the wire, and why the gate shut."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.fortiflex.errors import FortiFlexError, LoginRefused, OutcomeUnknown, RateLimited, TokenRejected
from gateway.gate.limits import Why
from gateway.models import UpstreamCall, UpstreamTurn
from tenants import clock
from tenants.actors import system
from tenants.context import acting_as

GATE = system("gate")
# How long the gate stays shut after each of FortiFlex's own complaints (reference 2.6), unless Retry-After says more.
CLOSED_SECONDS = {-10: 60, -11: 3600, -12: 5, -30: 3600, 0: 60}
LOGIN_REFUSED_SECONDS = 3600  # the same password is hardly right a minute later: a new one opens the gate at once
SILENT_AFTER = 5  # calls in a row without an answer
SILENT_SECONDS, LONGEST_SILENCE = 30, 300


@dataclass(slots=True)
class CallRecord:
    """What is known of one request on the wire."""

    path: str
    outcome: str
    failed: bool
    http_status: int | None
    milliseconds: int


def describe_failure(path: str, error: FortiFlexError, milliseconds: int) -> CallRecord:
    """A superseded token is renewed and a login is another server's matter: neither counts as one of FortiFlex's errors."""
    outcome = error.reason if isinstance(error, OutcomeUnknown) else type(error).__name__.lower()
    counts = not isinstance(error, (TokenRejected, LoginRefused))
    return CallRecord(path, outcome, counts, error.exchange.http_status if error.exchange else None, milliseconds)


def closing_after(error: FortiFlexError, failures: int) -> tuple[int, str, Why] | None:
    """How long, why in words, and of which kind the gate shuts after `error`, the last of `failures` unanswered ones; None = it stays open."""
    if isinstance(error, LoginRefused):
        return LOGIN_REFUSED_SECONDS, "the login was refused; enter the API user's password again", Why.LOGIN
    if isinstance(error, RateLimited):
        seconds = max(CLOSED_SECONDS.get(error.status, 60), error.retry_after_seconds or 0)
        return seconds, f"FortiFlex answered {error.status} (HTTP {error.http_status})", Why.LIMITS
    if failures >= SILENT_AFTER:
        seconds = min(SILENT_SECONDS * 2 ** (failures - SILENT_AFTER), LONGEST_SILENCE)
        return seconds, f"FortiFlex left {failures} calls in a row unanswered", Why.SILENT
    return None


def forget_old_calls(*, older_than: timedelta = timedelta(days=2)) -> int:
    """Remove call rows that no window counts any more; a person may want to see the last two days."""
    before: datetime = clock.now() - older_than
    with acting_as(GATE):
        removed, _ = UpstreamCall.objects.filter(at__lt=before).delete()
        UpstreamTurn.objects.filter(alive_until__lt=before).delete()  # of processes that died while they waited
    return removed
