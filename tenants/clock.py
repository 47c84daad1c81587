"""The gateway's only clock: UTC instants. Billing days come from gateway.days, which asks this clock."""

from datetime import UTC, datetime

from django.conf import settings

_started_at = datetime.now(UTC)


def now() -> datetime:
    """The present instant, aware, in UTC.

    With FLEXGATE_NOW (debug only) the process starts at that instant and goes on from there, so that tests see month ends.
    """
    real = datetime.now(UTC)
    if not settings.FLEXGATE_NOW:
        return real
    return datetime.fromisoformat(settings.FLEXGATE_NOW).astimezone(UTC) + (real - _started_at)
