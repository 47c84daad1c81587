"""What it consumed on the caller's own days of the last week, against what it should have."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from gateway.catalogue import READ_ONLY_IDS
from gateway.diagnosis.facts import Facts, PastDay, Told

# Points are fetched every six hours and FortiFlex may answer a day later: yesterday may be missing without anybody having to look.
GRACE = timedelta(days=1)
ANSWERED = "answered"
CERTAIN_DAYS = 2  # in a row: one day without points may be the day of a change


def find_missing_days(facts: Facts) -> Told | None:
    open_days = [one for one in facts.days if one.state in {"missing", "unanswered"} and _could_consume(facts, one)]
    late = [one for one in open_days if one.day < facts.day - GRACE]
    if not late:
        return None
    what = "pull them, and see what FortiFlex answers" if facts.sees_all else "ask your operator to fetch them"
    message = f"FortiFlex has not said what it consumed on some days: {what}. They are not billed before."
    return Told(message, since=late[-1].day, details={"days": _days(late)})


def find_uncalibrated_days(facts: Facts) -> Told | None:
    """Whether `endDate` counts in FortiFlex's answers is found out from serials that consumed on three days in a row."""
    found = [one for one in facts.days if one.state == "uncalibrated"]
    if not found:
        return None
    message = "To which of two days FortiFlex's points belong is not proven yet, so these are not billed. It is tried with each fetch."
    return Told(message, since=found[-1].day, details={"days": _days(found)})


def find_conflicting_days(facts: Facts) -> Told | None:
    found = [one for one in facts.days if one.state == "conflict"]
    if not found:
        return None
    what = (
        "Two accounts of its program claim the same serial: look in the portal which one it is."
        if facts.sees_all
        else "Your operator has to look; until then they are not billed."
    )
    return Told(
        f"FortiFlex's answers for some days contradict each other. {what}",
        since=found[-1].day,
        details={"days": _days(found)},
    )


def find_contradictory_calibration(facts: Facts) -> Told | None:
    if not facts.calibrated or facts.end_day_counts is not None:
        return None
    return Told(
        "FortiFlex's answers contradict each other on whether the last day of a range counts. Billing stops until a person has looked."
    )


def find_no_points(facts: Facts) -> Told | None:
    """The newest answered days have none, though it is active: charged is by state, not by use (reference 5.1)."""
    entitlement = facts.entitlement
    if entitlement.status != "ACTIVE" or entitlement.config.status != "ACTIVE" or entitlement.vanished_at is not None:
        return None
    answered = [one for one in facts.days if one.state == ANSWERED][:CERTAIN_DAYS]
    if len(answered) < CERTAIN_DAYS or any(one.points for one in answered):
        return None
    if entitlement.start_day is None or entitlement.start_day >= answered[-1].day:
        return None
    return Told(
        "It is active, and FortiFlex charged nothing for the last days. If it was stopped or not activated then, that is right; "
        "if not, look whether it stands in another account.",
        since=answered[-1].day,
        details={"days": _days(answered), "points_per_day": entitlement.config.points_per_day},
    )


def find_points_though_stopped(facts: Facts) -> Told | None:
    """The day of the stop itself is charged; what comes after it should not be (reference 5.1)."""
    end = facts.entitlement.end_day
    if facts.entitlement.status != "STOPPED" or end is None:
        return None
    found = [one for one in facts.days if one.day > end and one.points]
    if not found:
        return None
    message = (
        "FortiFlex charged it on days after its stop. If it was not reactivated then, claim them back from Fortinet."
    )
    if not facts.sees_all:
        message = "It was charged on days after its stop. If you had not reactivated it then, tell your operator."
    return Told(message, since=found[-1].day, details={"days": _with_points(found)})


def find_other_points(facts: Facts) -> Told | None:
    """The newest full day differs from what its config costs. What a product meters by itself has no price to compare with."""
    config = facts.entitlement.config
    expected = config.points_per_day
    metered = any(int(item["id"]) in READ_ONLY_IDS for item in config.parameters)
    if expected is None or metered or not config.parameters:
        return None
    since_change = facts.use.changed_on
    full = [
        one
        for one in facts.days
        if one.state == ANSWERED and one.points and one.steady and (since_change is None or one.day > since_change)
    ]
    differing = [one for one in full if one.points != expected]
    if not full or full[0] not in differing:
        return None
    message = "It is charged otherwise than its configuration costs: was that changed in the portal, or its price? Estimate it anew."
    return Told(message, since=differing[-1].day, details={"expected": expected, "days": _with_points(differing)})


def _could_consume(facts: Facts, one: PastDay) -> bool:
    """As ledger.report has it: what was pending, or had ended before, can't have consumed."""
    entitlement = facts.entitlement
    if entitlement.status == "PENDING" or (entitlement.start_day is not None and one.day < entitlement.start_day):
        return False
    ended = entitlement.status in {"STOPPED", "EXPIRED"} and entitlement.end_day is not None
    return not (ended and entitlement.end_day is not None and entitlement.end_day < one.day)


def _days(found: Iterable[PastDay]) -> list[Any]:
    return sorted(one.day for one in found)


def _with_points(found: Iterable[PastDay]) -> list[dict[str, Any]]:
    return [{"day": one.day, "points": one.points or Decimal(0)} for one in sorted(found, key=lambda one: one.day)]
