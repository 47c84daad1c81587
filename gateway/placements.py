"""Where a serial stood on which billing day. On a day of change the config with more points counts."""

from datetime import date, timedelta

from django.db.models import Q

from gateway.models import Config, Entitlement, Placement


def place(entitlement: Entitlement, *, on: date, assumed: bool = False) -> None:
    """Make the placements say where `entitlement` stands from `on`. Call inside the caller's transaction; nothing new writes nothing.

    The bigger config keeps the day of a change; where a config's points are unknown, the new one counts.
    """
    config = Config.objects.get(pk=entitlement.config_id)
    current = Placement.objects.filter(serial_number=entitlement.serial_number, until_day__isnull=True).first()
    wanted = Placement(
        serial_number=entitlement.serial_number,
        program_serial=entitlement.program_id,
        account_id=entitlement.account_id,
        config_id=config.id,
        config_name=config.name,
        product_type_id=config.product_type_id,
        product=config.product,
        labels=entitlement.labels,
        operator_labels=entitlement.operator_labels,
        assumed=assumed,
    )
    if current is not None and _is_same_place(current, wanted):
        return
    # What counts on that day so far may end with it already: an earlier, smaller change of the same day begins tomorrow.
    standing = (
        Placement.objects.filter(serial_number=entitlement.serial_number, from_day__lte=on)
        .exclude(until_day__lte=on)
        .first()
    )
    keeps_its_day = standing is not None and not _counts_today(standing, config)
    wanted.from_day = on + timedelta(days=1) if keeps_its_day else on
    _cut_from(entitlement.serial_number, wanted.from_day)
    wanted.save(force_insert=True)


def _is_same_place(one: Placement, other: Placement) -> bool:
    """A config's new name alone makes no new placement: statements print the name of the first day."""
    names = ("program_serial", "account_id", "config_id", "product_type_id", "labels", "operator_labels")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _counts_today(current: Placement, config: Config) -> bool:
    before = Config.objects.filter(pk=current.config_id).values_list("points_per_day", flat=True).first()
    if current.config_id == config.id or before is None or config.points_per_day is None:
        return True
    return config.points_per_day >= before


def _cut_from(serial: str, day: date) -> None:
    """Nothing stands from `day` on any more."""
    rows = Placement.objects.filter(serial_number=serial)
    rows.filter(from_day__gte=day).delete()
    rows.filter(Q(until_day__isnull=True) | Q(until_day__gt=day), from_day__lt=day).update(until_day=day)
