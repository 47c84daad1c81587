"""Assign and hand over by a list in CSV: one line per serial and day, all or nothing, with a look at what would change first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from gateway.ownership import Change, Step, UnknownSerials, assign_each, foresee_each
from gateway.provisioning.checks import SERIAL
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.bodies import MOST_NAMED
from tenants.context import acting_as
from tenants.csv_bodies import Row, line_error, read_rows
from tenants.models import Tenant
from tenants.problems import Problem

COLUMNS = ("serial_number", "tenant", "from_day")
MOST_LINES = 20_000
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the list and what it comes to."""

    number: int
    step: Step


def import_assignments(actor: Actor, text: str, *, dry_run: bool) -> list[Line]:
    """Carry out the list, or only say what it would come to; its lines in their order. An empty tenant = nobody from that day on.

    A serial may stand on several lines with different days: that is its history. Problem `invalid` names every wrong line (the first few
    of them), and then nothing is written.
    """
    with acting_as(actor):
        changes = _read_changes(actor, text)
        line_of = {(change.serial_number, change.from_day): number for number, change in changes}
        wanted = [change for _, change in changes]
        try:
            steps = foresee_each(actor, wanted) if dry_run else assign_each(actor, wanted)
        except UnknownSerials as error:
            unknown = set(error.serials)
            wrong = [
                line_error(number, "There is no such serial.", column="serial_number")
                for number, change in changes
                if change.serial_number in unknown
            ]
            raise _refusal(wrong) from None
        if not dry_run:
            record_audit(
                actor,
                "assignments.imported",
                subject_type="assignments",
                subject_key="list",
                tenant_id=None,
                after={"lines": len(changes), "changed": sum(step.changed for step in steps)},
            )
    lines = [Line(line_of[step.change.serial_number, step.change.from_day], step) for step in steps]
    return sorted(lines, key=lambda line: line.number)


def _read_changes(actor: Actor, text: str) -> list[tuple[int, Change]]:
    rows = list(read_rows(text, columns=COLUMNS, most=MOST_LINES))
    slugs = {row.cells["tenant"] for row in rows} - {""}
    tenants = {tenant.slug: tenant for tenant in Tenant.objects.visible_to(actor).filter(slug__in=slugs)}
    changes: list[tuple[int, Change]] = []
    wrong: list[dict[str, str]] = []
    seen: dict[tuple[str, date], int] = {}
    for row in rows:
        fault = _fault_in(row, tenants)
        if fault is not None:
            wrong.append(fault)
            continue
        serial, day = row.cells["serial_number"], date.fromisoformat(row.cells["from_day"])
        if (serial, day) in seen:
            detail = f"This serial has the same day on line {seen[serial, day]} already."
            wrong.append(line_error(row.line, detail, column="serial_number"))
            continue
        seen[serial, day] = row.line
        changes.append((row.line, Change(serial, tenants.get(row.cells["tenant"]), day)))
    if wrong:
        raise _refusal(wrong)
    return changes


def _fault_in(row: Row, tenants: dict[str, Tenant]) -> dict[str, str] | None:
    """What a cell holds is never repeated: the answer may be opened in a spreadsheet too."""
    if not SERIAL.fullmatch(row.cells["serial_number"]):
        detail = "A serial number has 6 to 40 capital letters, digits and hyphens."
        return line_error(row.line, detail, column="serial_number")
    if row.cells["tenant"] and row.cells["tenant"] not in tenants:
        return line_error(row.line, "There is no such tenant.", column="tenant")
    if not _is_day(row.cells["from_day"]):
        return line_error(row.line, "A day is written as 2026-08-31.", column="from_day")
    return None


def _is_day(text: str) -> bool:
    if not DAY.fullmatch(text) or not text.isascii():
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _refusal(wrong: Sequence[dict[str, str]]) -> Problem:
    more = f" And {len(wrong) - 1} more." if len(wrong) > 1 else ""
    return Problem("invalid", wrong[0]["detail"] + more, errors=wrong[:MOST_NAMED])
