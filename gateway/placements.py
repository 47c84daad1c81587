"""Where a serial stood on which billing day. On a day of change the config with more points counts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from django.db import connection

from gateway.days import today
from gateway.models import Config, Entitlement, Placement
from tenants.rows import new_row

CUT = """
UPDATE gateway_placement AS p SET until_day = given.until_day
FROM unnest(%s::uuid[], %s::date[]) AS given (id, until_day) WHERE p.id = given.id
"""


def place(entitlement: Entitlement, *, on: date, assumed: bool = False) -> None:
    """Make the placements say where `entitlement` stands from `on`. Call inside the caller's transaction; nothing new writes nothing.

    The bigger config keeps the day of a change; where a config's points are unknown, the new one counts.
    """
    place_all([entitlement], on=on, assumed=assumed)


def place_all(entitlements: Sequence[Entitlement], *, on: date, assumed: bool = False) -> None:
    """`place` for many, in the same five statements."""
    standing: dict[str, list[Placement]] = defaultdict(list)
    serials = [row.serial_number for row in entitlements]
    for placement in Placement.objects.filter(serial_number__in=serials).exclude(until_day__lte=on):
        standing[placement.serial_number].append(placement)
    named = {row.config_id for row in entitlements} | {item.config_id for rows in standing.values() for item in rows}
    configs = Config.objects.in_bulk(named)
    removed, cut, made = [], [], []
    for row in entitlements:
        wanted = _wanted(row, configs[row.config_id], assumed=assumed)
        periods = standing[row.serial_number]
        if any(item.until_day is None and _is_same_place(item, wanted) for item in periods):
            continue
        # What counts on that day so far may end with it already: an earlier, smaller change of the same day begins tomorrow.
        counted = next((item for item in periods if item.from_day <= on), None)
        keeps_its_day = counted is not None and not _counts_today(counted, wanted, configs)
        wanted.from_day = on + timedelta(days=1) if keeps_its_day else on
        for item in periods:
            if item.from_day >= wanted.from_day:
                removed.append(item.id)
            elif item.until_day is None or item.until_day > wanted.from_day:
                cut.append((item.id, wanted.from_day))
        made.append(wanted)
    if not made:
        return
    # In this order: no serial stands in two places, not even for a moment.
    if removed:
        Placement.objects.filter(id__in=removed).delete()
    if cut:
        with connection.cursor() as cursor:
            cursor.execute(CUT, [[key for key, _ in cut], [day for _, day in cut]])
    Placement.objects.bulk_create(made, batch_size=1000)


def first_placement(row: Entitlement, config: Config) -> Placement:
    """Where what has no placement yet stands from its first day on, to be saved by the caller."""
    placement = _wanted(row, config, assumed=first_day_of(row) < today())
    placement.from_day = first_day_of(row)
    return placement


def first_day_of(row: Entitlement) -> date:
    """What stood there before we saw it is assumed to have stood there since it began."""
    return min(row.start_day or today(), today())


def _wanted(row: Entitlement, config: Config, *, assumed: bool) -> Placement:
    return new_row(
        Placement,
        serial_number=row.serial_number,
        program_serial=row.program_id,
        account_id=row.account_id,
        config_id=config.id,
        config_name=config.name,
        product_type_id=config.product_type_id,
        product=config.product,
        labels=row.labels,
        operator_labels=row.operator_labels,
        assumed=assumed,
    )


def _is_same_place(one: Placement, other: Placement) -> bool:
    """A config's new name alone makes no new placement: statements print the name of the first day."""
    names = ("program_serial", "account_id", "config_id", "product_type_id", "labels", "operator_labels")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _counts_today(current: Placement, wanted: Placement, configs: Mapping[int, Config]) -> bool:
    before, after = configs.get(current.config_id), configs[wanted.config_id]
    if before is None or before.id == after.id or before.points_per_day is None or after.points_per_day is None:
        return True
    return after.points_per_day >= before.points_per_day
