"""Does `endDate` of entitlements/points count? FortiFlex does not say, so three queries find out.

q(D,D+1) + q(D+1,D+2) − q(D,D+2) of one serial is its day D+1 if endDate counts, and exactly 0 if it does not. Only a serial that
consumed on all three days proves the 0; the days are old enough to be final.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.db.models import Count, Q

from gateway.days import today
from gateway.fortiflex.client import FortiFlexClient
from gateway.fortiflex.errors import FortiFlexError
from gateway.ledger.fetch import LEDGER, Asked, fetch_points
from gateway.models import ApiUser, EndDateCalibration, Entitlement, ProgramAccount
from gateway.upstream import client_for
from tenants import clock
from tenants.context import acting_as

DAYS_BACK = 5  # D; so that D+2 is three Pacific days old
EVIDENCE_SERIALS = 20
log = structlog.get_logger("flexgate.ledger")
Totals = Mapping[str, Decimal]


def current_finding(api_url: str) -> EndDateCalibration | None:
    """The newest finding for this URL; None = not calibrated. `end_day_counts` None = contradictory. Inside `acting_as`."""
    return EndDateCalibration.objects.filter(api_url=api_url).order_by("-found_at", "-id").first()


def calibrate(api_user: ApiUser, client: FortiFlexClient) -> EndDateCalibration | None:
    """Look once more and store what was found; None where nothing could be proven (nobody consumed on all three days)."""
    start = today() - timedelta(days=DAYS_BACK)
    for program_serial, account_id, steady in _candidates(api_user, start):
        ranges = [
            (start, start + timedelta(days=1)),
            (start + timedelta(days=1), start + timedelta(days=2)),
            (start, start + timedelta(days=2)),
        ]
        fetched = [
            fetch_points(client, Asked(api_user, program_serial, account_id, first, last), purpose="calibration")
            for first, last in ranges
        ]
        if any(item.totals is None for item in fetched):
            continue
        totals = [item.totals or {} for item in fetched]
        verdict = judge_end_day(totals[0], totals[1], totals[2], steady=steady)
        if verdict is None:
            continue
        evidence = {
            "program": program_serial,
            "account_id": account_id,
            "first_day": start,
            "fetches": [item.row.id for item in fetched],
            "serials": _evidence(totals),
        }
        return _store(api_user.api_url, counts=verdict if verdict != "contradiction" else None, evidence=evidence)
    return None


def judge_end_day(first_two: Totals, last_two: Totals, all_three: Totals, *, steady: set[str]) -> "bool | str | None":
    """Pure: True = endDate counts, False = it does not, "contradiction", or None = nothing proven.

    `steady` are the serials known to have been ACTIVE all the while, without which a 0 proves nothing.
    """
    counts = excludes = False
    for serial in first_two.keys() | last_two.keys() | all_three.keys():
        q1, q2, q3 = (totals.get(serial, Decimal(0)) for totals in (first_two, last_two, all_three))
        middle = q1 + q2 - q3
        if middle < 0:
            return "contradiction"
        if middle > 0:
            counts = True
        elif serial in steady and q1 > 0 and q2 > 0:
            excludes = True
    if counts and excludes:
        return "contradiction"
    return True if counts else False if excludes else None


def _candidates(api_user: ApiUser, start: date) -> list[tuple[str, int, set[str]]]:
    """Accounts with entitlements that were ACTIVE before `start` and still are; the fullest first, three at most."""
    with acting_as(LEDGER):
        active = Q(status="ACTIVE", start_day__lt=start)
        places = (
            Entitlement.objects.filter(active, vanished_at__isnull=True)
            .values("program_id", "account_id")
            .annotate(number=Count("serial_number"))
            .order_by("-number", "program_id", "account_id")
        )
        mine = set(
            ProgramAccount.objects.filter(api_user__api_url=api_user.api_url, api_user=api_user).values_list(
                "program_id", "account_id"
            )
        )
        found = []
        for place in places:
            key = (place["program_id"], place["account_id"])
            if key in mine:
                steady = set(
                    Entitlement.objects.filter(active, program_id=key[0], account_id=key[1]).values_list(
                        "serial_number", flat=True
                    )
                )
                found.append((*key, steady))
        return found[:3]


def _evidence(totals: Sequence[Totals]) -> dict[str, Any]:
    serials = sorted(totals[0].keys() | totals[1].keys() | totals[2].keys())[:EVIDENCE_SERIALS]
    return {serial: [total.get(serial, Decimal(0)) for total in totals] for serial in serials}


def _store(api_url: str, *, counts: "bool | str | None", evidence: dict[str, Any]) -> EndDateCalibration:
    """A finding that differs from the one before contradicts it: then nobody knows, and billing stops until a person looks."""
    with acting_as(LEDGER):
        # The last finding that said something: a contradiction must not make the next look a fresh start.
        before = (
            EndDateCalibration.objects.filter(api_url=api_url, end_day_counts__isnull=False)
            .order_by("-found_at", "-id")
            .first()
        )
        found = counts if isinstance(counts, bool) else None
        if (
            before is not None
            and found is not None
            and before.end_day_counts is not None
            and before.end_day_counts != found
        ):
            evidence["contradicts"] = str(before.id)
            found = None
        return EndDateCalibration.objects.create(
            api_url=api_url, end_day_counts=found, evidence=evidence, found_at=clock.now()
        )


def recalibrate_all() -> None:
    """Look once more for every API URL, before a statement run. A URL that can't be asked now keeps its standing finding, and says so in the log."""
    with acting_as(LEDGER):
        users = list(ApiUser.objects.filter(enabled=True).order_by("api_url", "name"))
    done: set[str] = set()
    for api_user in users:
        if api_user.api_url in done:
            continue
        try:
            if calibrate(api_user, client_for(api_user, interactive=True)) is not None:
                done.add(api_user.api_url)
        except FortiFlexError as error:
            log.warning("calibration not repeated", api_user=api_user.name, reason=str(error))
