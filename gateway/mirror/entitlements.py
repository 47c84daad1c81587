"""Entitlements: compare what FortiFlex told with what the mirror holds, and write only what differs. Call inside `acting_as(system(…))`."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef

from gateway.days import today
from gateway.fortiflex import records
from gateway.mirror.changes import Changes
from gateway.mirror.configs import assign
from gateway.mirror.stored import find_differing, keep_raw
from gateway.mirror.telling import WATCHED, tell_appeared, tell_change
from gateway.mirror.vanishing import note_missed
from gateway.models import Assignment, Config, Entitlement, ProgramAccount
from gateway.operations import find_open_creations, touched_since
from gateway.placements import first_day_of, place_all
from gateway.tags import Tag, split_tag
from tenants.events import Happening, record_events
from tenants.models import Tenant
from tenants.rows import new_row

FIELDS = (
    "program",
    "config",
    "account_id",
    "upstream_description",
    "status",
    "start_day",
    "end_day",
    "token",
    "token_status",
    "missed_at",
    "vanished_at",
    "raw",
    "description",
)


@dataclass(frozen=True, slots=True)
class Birth:
    """Whose a new entitlement is, and what its owner called it."""

    tenant_id: UUID | None
    text: str
    labels: Mapping[str, Any]


def apply_entitlements(
    entitlements: Sequence[records.Entitlement],
    *,
    program_serial: str,
    account_id: int,
    asked_at: datetime | None = None,
    ours: bool = True,
    born_to: Birth | None = None,
) -> Changes:
    """Store entitlements. `asked_at` = these are all of this (program, account) as of then, so the missing ones have moved or vanished;
    what a write of ours touched since is newer than this list, and left alone.

    `ours` = the answer of our own write; otherwise every difference is something that happened behind our back, and an event.
    `born_to` = whose the new ones are from the start. The owner of others is never touched here.
    LookupError if a config is not in the mirror yet.
    """
    touched = touched_since(asked_at)[0] if asked_at is not None else set()
    listed = {item.serial_number: item for item in entitlements}
    found = {serial: item for serial, item in listed.items() if serial not in touched} if touched else listed
    differing = find_differing(found, program_serial=program_serial, account_id=account_id)
    if asked_at is not None and differing:
        better = _known_better(differing, program_serial, account_id, asked_at=asked_at)
        for serial in {*better, *_registered_again(differing)}:
            del differing[serial]
    _require_configs({item.config_id for item in differing.values()})
    # Locked in one order, and looked at afterwards: between the list and this a hand-over or a write of ours may have been stored.
    locked = Entitlement.objects.select_for_update().filter(serial_number__in=list(differing)).order_by("pk")
    rows = {row.serial_number: row for row in locked} if differing else {}
    if asked_at is not None and differing:
        for serial in touched_since(asked_at)[0] & differing.keys():
            del differing[serial]
    changes = _store(differing, rows, program_serial=program_serial, account_id=account_id, ours=ours, born_to=born_to)
    if asked_at is not None:
        note_missed(program_serial, account_id, listed=listed.keys() | touched, asked_at=asked_at)
    return changes


def _known_better(serials: Iterable[str], program_serial: str, account_id: int, *, asked_at: datetime) -> list[str]:
    """What another account's later list has: this list is from before it moved there."""
    place = {"program_id": OuterRef("program_id"), "account_id": OuterRef("account_id")}
    later = ProgramAccount.objects.filter(**place, mirrored_at__gt=asked_at)
    elsewhere = Entitlement.objects.filter(serial_number__in=list(serials), missed_at__isnull=True).exclude(
        program_id=program_serial, account_id=account_id
    )
    return list(elsewhere.filter(Exists(later)).values_list("serial_number", flat=True))


def _registered_again(serials: Iterable[str]) -> list[str]:
    """Devices that had vanished and that an open creation asks for: whose they are is for its settling, and who had them last sees nothing."""
    asked = find_open_creations().serials.keys() & set(serials)
    gone = Entitlement.objects.filter(serial_number__in=asked, vanished_at__isnull=False) if asked else ()
    return [row.serial_number for row in gone]


def _require_configs(wanted: set[int]) -> None:
    missing = wanted - set(Config.objects.filter(id__in=wanted).values_list("id", flat=True)) if wanted else set()
    if missing:
        raise LookupError(f"Configs {sorted(missing)} are not in the mirror.")


def _store(
    differing: Mapping[str, records.Entitlement],
    rows: Mapping[str, Entitlement],
    *,
    program_serial: str,
    account_id: int,
    ours: bool,
    born_to: Birth | None,
) -> Changes:
    owners: dict[Any, str] = dict(
        Tenant.objects.filter(id__in={row.tenant_id for row in rows.values()}).values_list("id", "slug")
    )
    changes, told = Changes(), list[Happening]()
    created, updated, moved, reworded = [], [], [], []
    for serial, item in differing.items():
        row, fields = rows.get(serial), _fields_of(item, program_serial, account_id)
        text, tag = split_tag(item.description)
        if row is None:
            row = new_entitlement(item, program_serial=program_serial, account_id=account_id, born_to=born_to)
            created.append(row)
        else:
            before = {
                name: getattr(row, name) for name in (*WATCHED, "upstream_description", "description", "vanished_at")
            }
            if item.description != row.upstream_description and _speaks_for_owner(tag, owners.get(row.tenant_id)):
                fields["description"] = text
            if not assign(row, fields):
                continue
            updated.append(row)
            if any(before[name] != getattr(row, name) for name in ("program_id", "config_id", "account_id")):
                moved.append(row)
            if before["description"] != row.description:
                reworded.append(row)
            told += tell_change(row, before, tag)
        if tag is not None and tag.valid and row.tenant_id is None:
            changes.tags[serial] = tag
    Entitlement.objects.bulk_create(created, batch_size=1000)
    Entitlement.objects.bulk_update(updated, fields=FIELDS, batch_size=500)
    _place(created, moved)
    _keep_descriptions(reworded)
    changes.new = [row.serial_number for row in created]
    changes.changed = [row.serial_number for row in updated]
    if not ours:
        record_events([*told, *tell_appeared(created)])
    _propose_owners([*created, *updated], changes.tags)
    return changes


def new_entitlement(
    item: records.Entitlement, *, program_serial: str, account_id: int, born_to: Birth | None
) -> Entitlement:
    """The row of what the mirror has not seen before, to be saved by the caller."""
    row = new_row(Entitlement, serial_number=item.serial_number, **_fields_of(item, program_serial, account_id))
    if born_to is None:
        row.description, _ = split_tag(item.description)
    else:
        row.tenant_id, row.description, row.labels = born_to.tenant_id, born_to.text, dict(born_to.labels)
    return row


def _speaks_for_owner(tag: Tag | None, owner: str | None) -> bool:
    """Whether a text is the present owner's. Under another's tag it is what the owner before had written, told late."""
    return tag is None or not tag.valid or tag.tenant_slug == owner


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
        "missed_at": None,
        "vanished_at": None,
        "raw": keep_raw(item.raw),
    }


def _place(created: Iterable[Entitlement], moved: Sequence[Entitlement]) -> None:
    by_day: dict[date, list[Entitlement]] = defaultdict(list)
    for row in created:
        by_day[first_day_of(row)].append(row)
    for first, rows in by_day.items():
        place_all(rows, on=first, assumed=first < today())
    if moved:
        place_all(moved, on=today())


def _keep_descriptions(reworded: Iterable[Entitlement]) -> None:
    """The text belongs to the period of ownership: today's assignment holds it too."""
    for row in reworded:
        if row.tenant_id is not None:
            current = Assignment.objects.filter(
                serial_number=row.serial_number, tenant_id=row.tenant_id, from_day__lte=today()
            )
            current.exclude(until_day__lte=today()).exclude(description=row.description).update(
                description=row.description
            )


def _propose_owners(rows: Iterable[Entitlement], tags: Mapping[str, Tag]) -> None:
    """A valid tag on what nobody owns proposes its owner, for the operator to confirm; a tag that went takes its proposal along."""
    changed = []
    for row in rows:
        tag = tags.get(row.serial_number)
        proposed = (tag.tenant_slug or "") if tag is not None and row.tenant_id is None else ""
        if row.proposed_tenant != proposed:
            row.proposed_tenant = proposed
            changed.append(row)
    Entitlement.objects.bulk_update(changed, fields=["proposed_tenant"], batch_size=500)
