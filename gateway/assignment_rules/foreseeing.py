"""What the rules would assign, and what would stay unassigned: the same few queries for one entitlement and for five thousand."""

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Literal

from django.db.models import Min

from gateway.assignment_rules.matching import Candidate, Matcher
from gateway.days import today
from gateway.models import AssignmentRule, Entitlement, LedgerEntry
from gateway.operations import OpenCreations, find_open_creations
from gateway.ownership import find_never_owned
from tenants.actors import Actor
from tenants.bodies import dump_json
from tenants.context import acting_as
from tenants.models import Tenant

Basis = Literal["first points", "start", "today"]
LeftBecause = Literal["no rule matches", "a tag names another tenant", "its creation is not settled"]
LOOKED_AT = (
    "serial_number",
    "account_id",
    "program_id",
    "config_id",
    "config__name",
    "description",
    "folder_path",
    "start_day",
    "upstream_description",
    "proposed_tenant",
)


@dataclass(frozen=True, slots=True)
class ForeseenRow:
    """One entitlement that nobody owned yet. With `rule` None it stays unassigned, and `left_because` says why.

    `matching`: every rule that matches, the one that counts first. `from_day` is the first day with points in the ledger, else the
    start day, else today: `basis` says which.
    """

    candidate: Candidate
    matching: tuple[AssignmentRule, ...]
    rule: AssignmentRule | None
    from_day: date | None
    basis: Basis | None
    left_because: LeftBecause | None

    @property
    def tenant(self) -> Tenant | None:
        return self.rule.tenant if self.rule else None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """`rows` by serial number."""

    rows: tuple[ForeseenRow, ...]

    @property
    def assigned(self) -> list[ForeseenRow]:
        return [row for row in self.rows if row.rule is not None]

    @property
    def digest(self) -> str:
        """Over what would be written: which serial to whom, from which day. The same digest = the same outcome."""
        outcome = [(row.candidate.serial_number, row.rule.tenant.slug, row.from_day) for row in self.rows if row.rule]
        return hashlib.sha256(dump_json(outcome)).hexdigest()

    def count_by_tenant(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in self.rows:
            if row.rule is not None:
                counts[row.rule.tenant.slug] = counts.get(row.rule.tenant.slug, 0) + 1
        return dict(sorted(counts.items()))

    def count_left(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in self.rows:
            if row.left_because is not None:
                counts[row.left_because] = counts.get(row.left_because, 0) + 1
        return dict(sorted(counts.items()))


def foresee_rules(actor: Actor) -> Foreseen:
    """What `apply_rules` would do now. Writes nothing.

    Rules look only at what never had an owner: whoever was assigned by hand, by an operation or by an earlier rule, also for days gone
    by or to come, was assigned on purpose, and taking a serial away again was on purpose too.
    """
    with acting_as(actor):
        matcher = Matcher(list(AssignmentRule.objects.select_related("tenant").filter(enabled=True)))
        found = find_never_owned().select_related("config").only(*LOOKED_AT)
        entitlements = list(found.order_by("serial_number"))
        first_points = _first_points()
        unsettled = find_open_creations()
    day, rows = today(), []
    for row in entitlements:
        matching = tuple(matcher.match(_candidate_of(row)))
        left = _why_left(row, matching, unsettled)
        rule = matching[0] if left is None else None
        from_day, basis = (
            _first_day(row, first_points.get(row.serial_number), day) if rule is not None else (None, None)
        )
        rows.append(ForeseenRow(_candidate_of(row), matching, rule, from_day, basis, left))
    return Foreseen(tuple(rows))


def _candidate_of(row: Entitlement) -> Candidate:
    return Candidate(
        row.serial_number,
        row.account_id,
        row.program_id,
        row.config_id,
        row.config.name,
        row.description,
        row.folder_path,
    )


def _first_day(row: Entitlement, points_from: date | None, day: date) -> tuple[date, Basis]:
    """A start that lies ahead is no day to wait for: whose it is can be said today."""
    if points_from is not None:
        return points_from, "first points"
    if row.start_day is not None and row.start_day <= day:
        return row.start_day, "start"
    return day, "today"


def _first_points() -> dict[str, date]:
    """The first day with points of each serial that has points of nobody's."""
    rows = LedgerEntry.objects.filter(tenant__isnull=True, points__gt=0).values_list("serial_number")
    return dict(rows.annotate(first=Min("day")).values_list("serial_number", "first"))


def _why_left(row: Entitlement, matching: tuple[AssignmentRule, ...], unsettled: OpenCreations) -> LeftBecause | None:
    """What an open operation asked for belongs to whoever asked; what a tag says against a rule is for a person to weigh."""
    if unsettled.find_maker(row.serial_number, config_id=row.config_id, upstream_description=row.upstream_description):
        return "its creation is not settled"
    if not matching:
        return "no rule matches"
    if row.proposed_tenant and row.proposed_tenant != matching[0].tenant.slug:
        return "a tag names another tenant"
    return None
