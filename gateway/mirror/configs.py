"""Programs and configs: compare what FortiFlex told with what the mirror holds, and write only what differs.

Call inside `acting_as(system(…))`.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from gateway.config_names import split_suffix
from gateway.fortiflex import records
from gateway.mirror.changes import Changes
from gateway.mirror.stored import keep_raw
from gateway.models import Config, Program
from tenants import clock


def apply_programs(programs: Iterable[records.Program]) -> None:
    """Store programs. One that was entered by hand becomes an ordinary one, and keeps the days that FortiFlex doesn't tell."""
    programs = list(programs)
    known = Program.objects.in_bulk([program.serial_number for program in programs])
    for program in programs:
        row = known.get(program.serial_number) or Program(serial_number=program.serial_number)
        wanted = {
            "account_id": program.account_id,
            "start_day": program.start_day or (row.start_day if row.entered_by_hand else None),
            "end_day": program.end_day or (row.end_day if row.entered_by_hand else None),
            "has_support_coverage": program.has_support_coverage,
            "entered_by_hand": False,
            "raw": keep_raw(program.raw),
        }
        if assign(row, wanted) or program.serial_number not in known:
            row.save(force_insert=program.serial_number not in known)


def apply_configs(configs: Iterable[records.Config]) -> Changes:
    """Store configs. One that no operation of ours made belongs to the operator; provisioning sets the tenant of those it makes."""
    changes, configs = Changes(), list(configs)
    known = Config.objects.in_bulk([config.id for config in configs])
    for config in configs:
        row = known.get(config.id) or Config(id=config.id)
        name, _ = split_suffix(config.name)
        wanted = {
            "program_id": config.program_serial,
            "account_id": config.account_id,
            "name": name,
            "upstream_name": config.name,
            "status": config.status,
            "product_type_id": config.product_type_id,
            "product": config.product,
            "parameters": [{"id": item.id, "value": item.value} for item in config.parameters],
            "vanished_at": None,
            "raw": keep_raw(config.raw),
        }
        resized = config.id in known and row.parameters != wanted["parameters"]
        if not assign(row, wanted) and config.id in known:
            continue
        if resized:
            row.points_per_day = row.price_refused_at = (
                None  # another size, another price: asked for again when somebody needs it
            )
        row.save(force_insert=config.id not in known)
        (changes.changed if config.id in known else changes.new).append(str(config.id))
    return changes


def mark_vanished_configs(program_serial: str, account_id: int, *, found: Collection[int], asked_at: datetime) -> None:
    """What this account's configs lack as of `asked_at`."""
    rows = Config.objects.filter(program_id=program_serial, account_id=account_id, vanished_at__isnull=True)
    rows.filter(first_seen_at__lt=asked_at).exclude(id__in=found).update(vanished_at=clock.now())


def assign(row: Any, wanted: Mapping[str, Any]) -> bool:
    """Set what differs; True if anything did."""
    differing = {name: value for name, value in wanted.items() if getattr(row, name) != value}
    for name, value in differing.items():
        setattr(row, name, value)
    return bool(differing)
