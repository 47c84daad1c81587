"""Where it stands in its life: pending, stopped, expired, about to end; and whether somebody else changed it."""

from datetime import timedelta
from typing import Any

from gateway.diagnosis.facts import Facts, Told
from gateway.models import Operation

RUNS = frozenset({"PENDING", "ACTIVE", "GRACE_PERIOD"})
NEAR = timedelta(days=30)
Kind = Operation.Kind


def find_expired(facts: Facts) -> Told | None:
    if facts.entitlement.status != "EXPIRED":
        return None
    message = "It is expired: FortiFlex changes nothing about it any more. Create a new one in its place."
    return Told(message, since=facts.entitlement.end_day)


def find_grace_period(facts: Facts) -> Told | None:
    """Active, but the program is over or has no points left (reference 3.3 and 5.3: for 90 days, then suspension is possible)."""
    if facts.entitlement.status != "GRACE_PERIOD":
        return None
    what = "buy points or renew the program" if facts.sees_all else "ask your operator"
    return Told(f"It runs in a grace period, because its program has ended or has no points left: {what} in time.")


def find_stopped(facts: Facts) -> Told | None:
    """FortiFlex sets the end date to the moment of the stop (reference 2.4); the day itself is still charged (reference 5.1)."""
    if facts.entitlement.status != "STOPPED":
        return None
    message = "It is stopped and consumes nothing after the day of its stop. Reactivate it if it should run."
    return Told(message, since=facts.entitlement.end_day)


def find_passed_end(facts: Facts) -> Told | None:
    end = facts.entitlement.end_day
    if facts.entitlement.status not in RUNS or end is None or end >= facts.day:
        return None
    return Told(
        "Its end date has passed, and FortiFlex still calls it running: set a later end date if it should run on.",
        since=end,
        details={"status": facts.entitlement.status},
    )


def find_near_end(facts: Facts) -> Told | None:
    end = facts.entitlement.end_day
    if facts.entitlement.status not in RUNS or end is None or not facts.day <= end <= facts.day + NEAR:
        return None
    return Told(
        f"It ends on {end}: set a later end date in time if it should run on; an expired one can't be brought back.",
        details={"end_date": end, "days": (end - facts.day).days},
    )


def find_ended_program(facts: Facts) -> Told | None:
    end = facts.standing.program_end
    if end is None or end >= facts.day:
        return None
    what = "renew the program" if facts.sees_all else "ask your operator to renew it"
    return Told(f"Its program ended on {end}: {what}, or FortiFlex ends what runs in it.", since=end)


def find_program_that_ends_first(facts: Facts) -> Told | None:
    program_end, end = facts.standing.program_end, facts.entitlement.end_day
    if program_end is None or program_end < facts.day or facts.entitlement.status not in RUNS:
        return None
    if end is None or end <= program_end:
        return None
    return Told(
        f"Its program ends on {program_end}, before it does: nothing outlasts its program, so count on that day.",
        details={"program_end": program_end, "end_date": end},
    )


def find_program_without_points(facts: Facts) -> Told | None:
    """Prepaid: nothing new can be created (reference 5.3); a negative balance begins 90 days of grace."""
    balance = facts.standing.point_balance
    if balance is None or balance > 0:
        return None
    message = "Its program has no points left: buy some. Running entitlements go on for a while, new ones are refused."
    return Told(message, details={"point_balance": balance})


def find_never_activated(facts: Facts) -> Told | None:
    """PENDING costs nothing: charging begins when the licence token is used, or at once with skip_pending (reference 5.1)."""
    entitlement = facts.entitlement
    if entitlement.status != "PENDING":
        return None
    return Told(
        "It was never activated and costs nothing. Inject its licence token into the machine; from that day on it is charged.",
        since=entitlement.start_day,
    )


def find_changed_outside(facts: Facts) -> Told | None:
    """What the last write of each kind asked for, against what stands there: what was stored then was changed by somebody else since."""
    found: dict[str, Any] = {}
    for name, (operation, asked, stands) in _asked_last(facts).items():
        if asked != stands:
            found[name] = {"operation": operation.id, "asked": asked, "found": stands}
    if not found:
        return None
    return Told(
        "It was changed outside the gateway after your last change. Ask for the change again if that was not meant.",
        details=found,
    )


def _asked_last(facts: Facts) -> dict[str, tuple[Operation, Any, Any]]:
    """By field: the operation that had the last word on it, what it asked for, and what is there."""
    row, last = facts.entitlement, dict[str, tuple[Operation, Any, Any]]()
    for operation in facts.done_since_owned():
        intent = operation.intent
        match operation.kind:
            case Kind.STOP:
                last.setdefault("status", (operation, "STOPPED", "STOPPED" if row.status == "EXPIRED" else row.status))
                last.setdefault("end_date", (operation, None, None))  # the moment of the stop
            case Kind.REACTIVATE:
                stands = row.status if row.status in {"STOPPED", "PENDING"} else "ACTIVE"  # it may have ended by itself
                last.setdefault("status", (operation, "ACTIVE", stands))
                last.setdefault("end_date", (operation, None, None))  # the program's
            case Kind.UPDATE_ENTITLEMENT if intent.get("config_id"):
                last.setdefault("config", (operation, intent["config_id"], row.config_id))
            case Kind.TRANSFER:
                last.setdefault("config", (operation, intent.get("target_config"), row.config_id))
        if operation.kind == Kind.UPDATE_ENTITLEMENT and intent.get("end_day"):
            end = row.end_day.isoformat() if row.end_day else None
            last.setdefault("end_date", (operation, intent["end_day"], end))
    return last
