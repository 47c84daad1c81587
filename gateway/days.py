"""Today's billing day: the one function that knows both the clock and Pacific time. Day arithmetic is in gateway.fortiflex.days."""

from datetime import date

from gateway.fortiflex.days import billing_day_at
from tenants import clock


def today() -> date:
    """The US Pacific calendar day of this moment."""
    return billing_day_at(clock.now())
