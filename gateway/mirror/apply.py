"""Compare what FortiFlex told with what the mirror holds, and write only what differs. Call inside `acting_as(system(…))`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from gateway.config_names import split_suffix
from gateway.days import today
from gateway.fortiflex import records
from gateway.models import Assignment, Config, Entitlement, Program
from gateway.operations import touched_since
from gateway.placements import place
from gateway.tags import Tag, split_tag
from tenants import clock
from tenants.events import record_event
from tenants.models import Tenant

HIDDEN = ("token",)  # a licence token lives in its own column, not in the raw record


@dataclass(slots=True)
class Changes:
    """What one comparison found. `tags`: valid tags on serials that nobody owns, for reconciliation and proposals."""

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    tags: dict[str, Tag] = field(default_factory=dict)


def apply_programs(programs: Iterable[records.Program]) -> None:
    known = Program.objects.in_bulk([program.serial_number for program in programs])
    for program in programs:
        row = known.get(program.serial_number) or Program(serial_number=program.serial_number)
        wanted = {
            "account_id": program.account_id,
            "start_day": program.start_day,
            "end_day": program.end_day,
            "has_support_coverage": program.has_support_coverage,
            "raw": _plain(program.raw),
        }
        if _assign(row, wanted) or program.serial_number not in known:
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
            "raw": _plain(config.raw),
        }
        resized = config.id in known and row.parameters != wanted["parameters"]
        if not _assign(row, wanted) and config.id in known:
            continue
        if resized:
            row.points_per_day = None  # another size, another price: asked for again when somebody needs it
        row.save(force_insert=config.id not in known)
        (changes.changed if config.id in known else changes.new).append(str(config.id))
    return changes


def apply_entitlements(
    entitlements: Sequence[records.Entitlement],
    *,
    program_serial: str,
    account_id: int,
    asked_at: datetime | None = None,
    ours: bool = True,
) -> Changes:
    """Store entitlements. `asked_at` = these are all of this (program, account) as of then, so the missing ones have vanished;
    what a write of ours touched since is newer than this list, and left alone.

    `ours` = the answer of our own write; otherwise every difference is something that happened behind our back, and an event.
    The owner is never touched here. LookupError if a config is not in the mirror yet.
    """
    touched = touched_since(asked_at)[0] if asked_at is not None else set()
    listed = {item.serial_number for item in entitlements}
    found = {item.serial_number: item for item in entitlements if item.serial_number not in touched}
    rows = {row.serial_number: row for row in Entitlement.objects.filter(serial_number__in=found)}
    owners: dict[Any, str] = dict(
        Tenant.objects.filter(id__in={row.tenant_id for row in rows.values()}).values_list("id", "slug")
    )
    changes = Changes()
    configs = set(
        Config.objects.filter(id__in={item.config_id for item in found.values()}).values_list("id", flat=True)
    )
    if missing := {item.config_id for item in found.values()} - configs:
        raise LookupError(f"Configs {sorted(missing)} are not in the mirror.")
    created, updated, moved = [], [], []
    for serial, item in found.items():
        row = rows.get(serial)
        fields = _fields_of(item, program_serial, account_id)
        text, tag = split_tag(item.description)
        if row is None:
            row = Entitlement(serial_number=serial, description=text, **fields)
            created.append(row)
        else:
            before = {
                name: getattr(row, name)
                for name in ("status", "config_id", "account_id", "upstream_description", "end_day")
            }
            if item.description != row.upstream_description and _speaks_for_owner(tag, owners.get(row.tenant_id)):
                fields["description"] = text
            if not _assign(row, fields):
                continue
            updated.append(row)
            if (before["config_id"], before["account_id"]) != (row.config_id, row.account_id):
                moved.append(row)
            if not ours:
                _tell_change(row, before, tag)
        if tag is not None and tag.valid and row.tenant_id is None:
            changes.tags[serial] = tag
    Entitlement.objects.bulk_create(created, batch_size=1000)
    Entitlement.objects.bulk_update(updated, fields=[*_FIELDS, "description"], batch_size=500)
    _place(created, moved)
    _keep_descriptions(updated)
    changes.new = [row.serial_number for row in created]
    changes.changed = [row.serial_number for row in updated]
    if not ours:
        for row in created:
            _tell("entitlement.appeared", row, {"status": row.status, "config": row.config_id})
    if asked_at is not None:
        rows_of_account = Entitlement.objects.filter(
            program_id=program_serial, account_id=account_id, first_seen_at__lt=asked_at
        )
        changes.vanished = _mark_vanished(rows_of_account.exclude(serial_number__in=listed | touched))
    _propose_owners([*created, *updated], changes.tags)
    return changes


def _speaks_for_owner(tag: Tag | None, owner: str | None) -> bool:
    """Whether a text is the present owner's. Under another's tag it is what the owner before had written, told late."""
    return tag is None or not tag.valid or tag.tenant_slug == owner


_FIELDS = [
    "program",
    "config",
    "account_id",
    "upstream_description",
    "status",
    "start_day",
    "end_day",
    "token",
    "token_status",
    "vanished_at",
    "raw",
]


def _fields_of(item: records.Entitlement, program_serial: str, account_id: int) -> dict[str, Any]:
    return {
        "program_id": program_serial,
        "config_id": item.config_id,
        "account_id": item.account_id if item.account_id is not None else account_id,
        "upstream_description": item.description,
        "status": item.status,
        "start_day": item.start_day,
        "end_day": item.end_day,
        "token": item.token or "",
        "token_status": item.token_status or "",
        "vanished_at": None,
        "raw": _plain(item.raw),
    }


def _assign(row: Any, wanted: Mapping[str, Any]) -> bool:
    """Set what differs; True if anything did."""
    differing = {name: value for name, value in wanted.items() if getattr(row, name) != value}
    for name, value in differing.items():
        setattr(row, name, value)
    return bool(differing)


def _plain(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name not in HIDDEN}


def _place(created: list[Entitlement], moved: list[Entitlement]) -> None:
    for row in created:
        # What stood there before we saw it is assumed to have stood there since it began.
        first = min(row.start_day or today(), today())
        place(row, on=first, assumed=first < today())
    for row in moved:
        place(row, on=today())


def _keep_descriptions(updated: list[Entitlement]) -> None:
    """The text belongs to the period of ownership: today's assignment holds it too."""
    for row in updated:
        if row.tenant_id is not None:
            current = Assignment.objects.filter(
                serial_number=row.serial_number, until_day__isnull=True, tenant_id=row.tenant_id
            )
            current.exclude(description=row.description).update(description=row.description)


def _mark_vanished(missing: "QuerySet[Entitlement]") -> list[str]:
    vanished = list(missing.filter(vanished_at__isnull=True))
    Entitlement.objects.filter(serial_number__in=[row.serial_number for row in vanished]).update(
        vanished_at=clock.now()
    )
    for row in vanished:
        _tell("entitlement.vanished", row, {})
    return [row.serial_number for row in vanished]


def _propose_owners(rows: list[Entitlement], tags: Mapping[str, Tag]) -> None:
    """A valid tag on what nobody owns proposes its owner, for the operator to confirm; a tag that went takes its proposal along."""
    changed = []
    for row in rows:
        tag = tags.get(row.serial_number)
        proposed = (tag.tenant_slug or "") if tag is not None and row.tenant_id is None else ""
        if row.proposed_tenant != proposed:
            row.proposed_tenant = proposed
            changed.append(row)
    Entitlement.objects.bulk_update(changed, fields=["proposed_tenant"], batch_size=500)


def _tell_change(row: Entitlement, before: Mapping[str, Any], tag: Tag | None) -> None:
    _, tag_before = split_tag(str(before["upstream_description"]))
    if tag_before is not None and tag_before != tag:
        _tell("entitlement.tag_changed", row, {})
    after = {name: getattr(row, name) for name in before if name != "upstream_description"}
    told = {"config_id": "config", "end_day": "end_date"}
    differing = {told.get(name, name): value for name, value in after.items() if before[name] != value}
    if differing:
        _tell("entitlement.changed_outside", row, differing)


def _tell(event: str, row: Entitlement, data: dict[str, Any]) -> None:
    record_event(event, subject_type="entitlement", subject_key=row.serial_number, tenant_id=row.tenant_id, data=data)
