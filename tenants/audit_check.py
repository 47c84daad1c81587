"""Recompute the audit trail: what was changed, removed, inserted or cut off, chain by chain, and what waits to be sealed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef

from tenants.models import AuditEntry, AuditHead, AuditSeal, Tenant, Unsealed
from tenants.sealing import START, audit_keys, link_hash

AT_ONCE = 1000
LONGEST_WAIT = timedelta(days=1)  # for the sealer


@dataclass(frozen=True, slots=True)
class Head:
    """What was told outside: chain `chain_id` ("" = the operator's own) stood at `position` with `hash`."""

    chain_id: str
    position: int
    hash: str


@dataclass(slots=True)
class Verdict:
    """`faults`: one sentence each. `sealed_late`: entries that say a moment long before they were sealed; after an upgrade or an outage
    that is right, at other times somebody wrote them later than they say. `tail`: entries that the sealer has not reached yet, the
    oldest of them named.
    """

    entries: int = 0
    chains: int = 0
    faults: list[str] = field(default_factory=list)
    sealed_late: int = 0
    tail: int = 0
    oldest_in_tail: str = ""


def check_audit(told: list[Head]) -> Verdict:
    """Hold every seal against its entry, its predecessor and every head that was told. Inside an `acting_as` of the gateway itself."""
    verdict = Verdict()
    slugs: dict[UUID | None, str] = {None: "operator", **dict(Tenant.objects.values_list("id", "slug"))}
    heads = [*told, *(Head(str(row.tenant_id or ""), row.position, row.hash) for row in AuditHead.objects.all())]
    for tenant_id, slug in slugs.items():
        verdict.chains += 1
        _check_chain(verdict, tenant_id, slug, [head for head in heads if head.chain_id == str(tenant_id or "")])
    known = {str(tenant_id or "") for tenant_id in slugs}
    for head in heads:
        if head.chain_id not in known:
            verdict.faults.append(f"The whole chain {head.chain_id} is gone; it stood at {head.position}.")
    strays = AuditSeal.objects.count() - verdict.entries
    if strays:
        verdict.faults.append(f"{strays} seals belong to no tenant's chain.")
    _check_unsealed(verdict)
    return verdict


def _check_chain(verdict: Verdict, tenant_id: UUID | None, slug: str, heads: list[Head]) -> None:
    expected, previous, by_position = 1, START, {head.position: head for head in heads}
    for seal, entry in _pairs(tenant_id):
        place = f"{slug} {seal.position}"
        if seal.position != expected:
            verdict.faults.append(f"{slug} {expected}: removed, with its seal ({seal.position - expected} in a row).")
        elif seal.previous_hash != previous:
            verdict.faults.append(f"{place}: the seal before it was replaced.")
        fault = _why_unsound(seal, entry, tenant_id)
        if fault is not None:
            verdict.faults.append(f"{place}: {fault}")
        if entry is not None and fault is None and seal.sealed_at - entry.at > LONGEST_WAIT:
            verdict.sealed_late += 1
        head = by_position.pop(seal.position, None)
        if head is not None and head.hash != seal.hash:
            verdict.faults.append(f"{place}: rewritten after its head was told.")
        expected, previous = seal.position + 1, seal.hash
        verdict.entries += 1
    for position in sorted(by_position):
        verdict.faults.append(f"{slug} {position}: cut off; its head was told, and the chain ends at {expected - 1}.")


def _why_unsound(seal: AuditSeal, entry: AuditEntry | None, tenant_id: UUID | None) -> str | None:
    if entry is None:
        return f"the entry {seal.entry_id} was removed."
    if seal.key_id not in audit_keys().keys:
        return f"its key {seal.key_id!r} is not in FLEXGATE_AUDIT_KEYS, so it can't be checked."
    if entry.tenant_id != tenant_id or seal.hash != link_hash(seal, entry):
        return f"the entry {seal.entry_id} ({entry.action}) or its seal was changed."
    return None


def _pairs(tenant_id: UUID | None) -> Iterator[tuple[AuditSeal, AuditEntry | None]]:
    rows = AuditSeal.objects.of_chain(tenant_id).order_by("position")
    seals = list(rows[:AT_ONCE])
    while seals:
        entries: Mapping[UUID, AuditEntry] = AuditEntry.objects.in_bulk([seal.entry_id for seal in seals])
        for seal in seals:
            yield seal, entries.get(seal.entry_id)
        seals = list(rows.filter(position__gt=seals[-1].position)[:AT_ONCE])


def _check_unsealed(verdict: Verdict) -> None:
    unsealed = AuditEntry.objects.filter(~Exists(AuditSeal.objects.filter(entry_id=OuterRef("id"))))
    waiting = Exists(Unsealed.objects.filter(subject_id=OuterRef("id"), kind="audit"))
    for entry in unsealed.filter(~waiting).order_by("id")[:100]:
        verdict.faults.append(f"The entry {entry.id} ({entry.action}) was inserted past the trail.")
    queued = Unsealed.objects.filter(kind="audit")
    gone = queued.filter(~Exists(AuditEntry.objects.filter(id=OuterRef("subject_id"))))
    for row in gone.order_by("subject_id")[:100]:
        verdict.faults.append(f"The entry {row.subject_id} was removed before it was sealed.")
    tail = unsealed.filter(waiting).order_by("id")
    verdict.tail = tail.count()
    first = tail.first()
    if first is not None:
        verdict.oldest_in_tail = f"{first.id} ({first.action}, {first.at:%Y-%m-%d %H:%M:%S} UTC)"
