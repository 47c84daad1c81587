"""What its owner may still have: reached limits are why something new, or something stopped, is refused."""

from gateway.diagnosis.facts import Facts, Told


def find_used_up_entitlements(facts: Facts) -> Told | None:
    limits = facts.limits
    if limits is None or limits.entitlements is None or limits.running < limits.entitlements:
        return None
    message = "The limit of running entitlements is reached: nothing more can be created or reactivated before one is stopped."
    return Told(message, details={"limit": limits.entitlements, "running": limits.running})


def find_used_up_points(facts: Facts) -> Told | None:
    limits = facts.limits
    if limits is None or limits.points_per_day is None or limits.points < limits.points_per_day:
        return None
    message = "The limit of points a day is reached: nothing more can be created, reactivated or made bigger before one is stopped."
    return Told(message, details={"limit": limits.points_per_day, "points_per_day": limits.points})


def find_used_up_errors(facts: Facts) -> Told | None:
    limits = facts.limits
    if limits is None or not limits.wait:
        return None
    message = "FortiFlex refused too much of its owner's lately, so writes are refused for a while: check the values of the last ones."
    return Told(message, details={"seconds": limits.wait})
