"""Conservation and completeness, in SQL: does all that FortiFlex said belong to somebody or show as unassigned, and what was never said?"""

import hashlib
import zlib
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import connection

from gateway.fortiflex import wire
from gateway.models import PointsFetch

CONSERVATION = """
WITH said AS (
    SELECT program_serial, day, sum(total) AS fetched FROM gateway_accountday
    WHERE day BETWEEN %(first)s AND %(last)s GROUP BY 1, 2
), held AS (
    SELECT program_serial, day,
           coalesce(sum(points) FILTER (WHERE tenant_id IS NOT NULL), 0) AS attributed,
           coalesce(sum(points) FILTER (WHERE tenant_id IS NULL), 0) AS unassigned
    FROM gateway_ledgerentry WHERE day BETWEEN %(first)s AND %(last)s GROUP BY 1, 2
)
SELECT program_serial, day, coalesce(fetched, 0), coalesce(attributed, 0), coalesce(unassigned, 0)
FROM said FULL JOIN held USING (program_serial, day) ORDER BY 1, 2
"""
# A refused account-day blocks only where something stood that could have consumed: an entitlement that was not PENDING and not
# stopped before that day. Where nothing stood there is nothing to bill, and the refusal stays on record.
COMPLETENESS = """
SELECT pa.program_id, pa.account_id, d.day::date, coalesce(ad.state, 'missing'), ad.fetched_at,
    EXISTS (
        SELECT 1 FROM gateway_placement p JOIN gateway_entitlement e USING (serial_number)
        WHERE p.program_serial = pa.program_id AND p.account_id = pa.account_id
          AND daterange(p.from_day, p.until_day) @> d.day::date AND e.status <> 'PENDING'
          AND NOT (e.status = 'STOPPED' AND e.end_day < d.day::date)
    ) AS could_consume
FROM gateway_programaccount pa
JOIN gateway_program pr ON pr.serial_number = pa.program_id
CROSS JOIN LATERAL generate_series(
    greatest(%(first)s::date, pr.start_day), least(%(last)s::date, pr.end_day), interval '1 day'
) AS d (day)
LEFT JOIN gateway_accountday ad ON ad.program_serial = pa.program_id AND ad.account_id = pa.account_id AND ad.day = d.day::date
ORDER BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class ConservationRow:
    program_serial: str
    day: date
    fetched: Decimal
    attributed: Decimal
    unassigned: Decimal

    @property
    def difference(self) -> Decimal:
        return self.fetched - self.attributed - self.unassigned


@dataclass(frozen=True, slots=True)
class ConservationReport:
    rows: tuple[ConservationRow, ...]

    @property
    def fetched(self) -> Decimal:
        return sum((row.fetched for row in self.rows), Decimal("0.0000"))

    @property
    def attributed(self) -> Decimal:
        return sum((row.attributed for row in self.rows), Decimal("0.0000"))

    @property
    def unassigned(self) -> Decimal:
        return sum((row.unassigned for row in self.rows), Decimal("0.0000"))

    @property
    def holds(self) -> bool:
        """Every program and day by itself, not only the sum: two errors must not cancel out."""
        return all(row.difference == 0 for row in self.rows)

    def in_words(self) -> str:
        difference = sum((abs(row.difference) for row in self.rows), Decimal("0.0000"))
        return (
            f"conservation: {self.fetched:.4f} points fetched = {self.attributed:.4f} attributed + {self.unassigned:.4f} unassigned, "
            f"difference {difference:.4f}"
        )


@dataclass(frozen=True, slots=True)
class AccountDayState:
    """`state`: answered, unanswered, uncalibrated, conflict, missing. `could_consume`: something stood there that day."""

    program_serial: str
    account_id: int
    day: date
    state: str
    fetched_at: datetime | None
    could_consume: bool

    @property
    def is_open(self) -> bool:
        """Not known, and it may matter."""
        return self.state != "answered" and not (self.state == "unanswered" and not self.could_consume)


def check_conservation(first: date, last: date) -> ConservationReport:
    """Per program and day from `first` to `last`. Inside `acting_as` of somebody who sees every tenant."""
    with connection.cursor() as cursor:
        cursor.execute(CONSERVATION, {"first": first, "last": last})
        return ConservationReport(tuple(ConservationRow(*row) for row in cursor.fetchall()))


def read_account_days(first: date, last: date) -> list[AccountDayState]:
    """The state of every known (program, account, day) of the range, the missing ones included. Inside `acting_as` as above."""
    with connection.cursor() as cursor:
        cursor.execute(COMPLETENESS, {"first": first, "last": last})
        return [AccountDayState(*row) for row in cursor.fetchall()]


def describe_completeness(days: list[AccountDayState]) -> str:
    """One line: how many account-days, and what is open."""
    open_days = [day for day in days if day.is_open]
    if not open_days:
        return f"completeness: {len(days)} account-days, all answered"
    counts: dict[str, int] = {}
    for day in open_days:
        counts[day.state] = counts.get(day.state, 0) + 1
    named = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    first = open_days[0]
    return (
        f"completeness: {len(days)} account-days, {named} "
        f"(first: program {first.program_serial}, account {first.account_id}, {first.day})"
    )


def recheck_fetch(fetch: PointsFetch) -> bool:
    """Whether a kept answer still is what it was: its hash, and its total recomputed from its own bytes."""
    body = zlib.decompress(bytes(fetch.body))
    if hashlib.sha256(body).hexdigest() != fetch.body_sha256:
        return False
    if fetch.outcome != PointsFetch.Outcome.ANSWERED:
        return True
    envelope = wire.decode_object(body)
    rows = [wire.read_points(raw) for raw in wire.read_list(envelope, "entitlements", "points")]
    return sum((row.points.quantize(Decimal("0.0001")) for row in rows), Decimal(0)) == fetch.total
