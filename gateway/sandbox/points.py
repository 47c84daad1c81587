"""Points by FortiFlex's daily rules (FortiFlex API reference, 5.1): pure functions of the world's history.

A Pacific day is charged whole if the entitlement was ACTIVE under an ACTIVE config at any moment of it, at the price of the largest
configuration it had while it was. So a stop counts from the next day, a reactivation counts for the same day, PENDING costs nothing.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal

from gateway.sandbox.clock import pacific_day, pacific_midnight
from gateway.sandbox.prices import price_of
from gateway.sandbox.world import Entitlement, World, candidates

ZERO = Decimal(0)


def points_of_day(world: World, entitlement: Entitlement, day: date) -> Decimal:
    """Points of one entitlement on one whole Pacific day; a later correction by FortiFlex wins."""
    for correction in reversed(world.corrections):
        if correction.serial_number == entitlement.serial_number and correction.day == day:
            return correction.points
    begins, ends = pacific_midnight(day), pacific_midnight(day + timedelta(days=1))
    return max(
        (_rate_at(world, entitlement, moment) for moment in _moments(world, entitlement, begins, ends)), default=ZERO
    )


def points_of_range(world: World, entitlement: Entitlement, first: date, last: date) -> Decimal:
    """The total from `first` to `last`, both inclusive."""
    days = (last - first).days + 1
    return sum((points_of_day(world, entitlement, first + timedelta(days=n)) for n in range(days)), ZERO)


def consumed_before(world: World, program: str, today: date) -> Decimal:
    """All points of a program on days that are over: what a prepaid balance was charged."""
    total = ZERO
    for entitlement in world.entitlements:
        config = world.config(entitlement.now.config_id)
        if config is not None and config.program == program and pacific_day(entitlement.start) < today:
            total += points_of_range(world, entitlement, pacific_day(entitlement.start), today - timedelta(days=1))
    return total


def _moments(world: World, entitlement: Entitlement, begins: datetime, ends: datetime) -> list[datetime]:
    """The day's beginning and every moment in it at which something changed; nothing before the entitlement was there."""
    changes = {change.at for change in entitlement.changes}
    for change in entitlement.changes:
        config = world.config(change.config_id)
        changes |= {config_change.at for config_change in config.changes} if config else set()
    moments = {begins} | {moment for moment in changes if begins <= moment < ends}
    return sorted(moment for moment in moments if moment >= entitlement.start)


def _rate_at(world: World, entitlement: Entitlement, moment: datetime) -> Decimal:
    """The largest rate of what was in force at `moment`; of several changes in one instant each was, however briefly."""
    if moment >= entitlement.ends_at:
        return ZERO
    found = [ZERO]
    for state in candidates(entitlement.changes, moment):
        config = world.config(state.config_id)
        if config is not None and state.status == "ACTIVE":
            settings = candidates(config.changes, moment)
            found += [price_of(config.product_type_id, s.parameters)[0] for s in settings if s.status == "ACTIVE"]
    return max(found)
