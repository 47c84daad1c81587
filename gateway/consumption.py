"""Points by day, month, entitlement, config, product or label: summed in SQL, each tenant's own days only."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from django.db import connection

from tenants.actors import Actor

GroupBy = Literal["day", "month", "entitlement", "config", "product", "label"]
GROUPS: dict[str, tuple[str, str]] = {
    "day": ("day", "l.day"),
    "month": ("month", "to_char(l.day, 'YYYY-MM')"),
    "entitlement": ("serial_number", "l.serial_number"),
    "config": ("config", "p.config_id"),
    "product": ("product", "p.product"),
    "label": ("label", "label.pair"),
}


def read_consumption(
    actor: Actor, *, first: date, last: date, group_by: str = "day", serial: str | None = None
) -> list[dict[str, Any]]:
    """Rows {"<group>": …, "points": Decimal} from `first` to `last`, both inclusive, in the group's order. Inside `acting_as(actor)`.

    An entitlement with several labels counts under each of them ("name=value"); one without counts under null.
    """
    name, expression = GROUPS[group_by]
    needs_place = group_by in {"config", "product"}
    joins = ""
    if needs_place:
        joins = "LEFT JOIN gateway_placement p ON p.serial_number = l.serial_number AND daterange(p.from_day, p.until_day) @> l.day "
    if group_by == "label":
        # Labels belong to the period of ownership: a past hand-over must not show the old owner's.
        joins = (
            "LEFT JOIN gateway_assignment a ON a.serial_number = l.serial_number AND a.tenant_id = l.tenant_id "
            "AND daterange(a.from_day, a.until_day) @> l.day "
            "LEFT JOIN LATERAL (SELECT key || '=' || value AS pair FROM jsonb_each_text(a.labels)) AS label ON true "
        )
    wall, parameters = "", {"first": first, "last": last, "serial": serial, "tenants": list(actor.tenant_ids)}
    if not actor.sees_every_tenant:
        wall = "AND l.tenant_id = ANY(%(tenants)s)"
    narrowed = "AND l.serial_number = %(serial)s" if serial is not None else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT {expression} AS grouped, sum(l.points)::numeric(20, 4) FROM gateway_ledgerentry l {joins}
            WHERE l.day BETWEEN %(first)s AND %(last)s {wall} {narrowed}
            GROUP BY grouped ORDER BY grouped
            """,  # noqa: S608 - every part is one of the constants above
            parameters,
        )
        return [{name: value, "points": points} for value, points in cursor.fetchall()]


def points_by_program(actor: Actor, *, first: date, last: date, program_serials: Sequence[str]) -> dict[str, Decimal]:
    """The points of each program that `actor` sees, from `first` to `last`; one without points is left out. Inside `acting_as(actor)`."""
    wall = "" if actor.sees_every_tenant else "AND tenant_id = ANY(%(tenants)s)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT program_serial, sum(points)::numeric(20, 4) FROM gateway_ledgerentry
            WHERE program_serial = ANY(%(programs)s) AND day BETWEEN %(first)s AND %(last)s {wall} GROUP BY program_serial
            """,  # noqa: S608 - the wall is one of the two constants above
            {"programs": list(program_serials), "first": first, "last": last, "tenants": list(actor.tenant_ids)},
        )
        return dict(cursor.fetchall())
