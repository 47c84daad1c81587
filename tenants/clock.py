"""The gateway's only clock: UTC instants. Billing days come from gateway.days, which asks this clock."""

from datetime import UTC, datetime, timedelta

from django.conf import settings


def now() -> datetime:
    """The present instant, aware, in UTC; moved by FLEXGATE_CLOCK_SHIFT seconds, the same in every process (debug only)."""
    shift = settings.FLEXGATE_CLOCK_SHIFT
    return datetime.now(UTC) + timedelta(seconds=shift) if shift else datetime.now(UTC)
