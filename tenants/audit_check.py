"""Recompute the audit trail: what was changed, removed, inserted or cut off, chain by chain, and what waits to be sealed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Exists, OuterRef

from tenants.models import AuditEntry, AuditHead, AuditSeal, Tenant, Unsealed
from tenants.sealing import START, audit_keys, link_hash

AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Head:
    """What was told outside: chain `chain_id` ("" = the operator's own) stood at `position` with `hash`."""

    chain_id: str
    position: int
    hash: str


@dataclass(slots=True)
class Verdict:
    """`faults`: one sentence each. `tail`: entries that the sealer has not reached yet, the oldest of them named."""

    entries: int = 0
    chains: int = 0
    faults: list[str] = field(default_factory=list)
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
        if entry is None:
            verdict.faults.append(f"{place}: the entry {seal.entry_id} was removed.")
        elif seal.key_id not in audit_keys().keys:
            verdict.faults.append(
                f"{place}: its key {seal.key_id!r} is not in FLEXGATE_AUDIT_KEYS, so it can't be checked."
            )
        elif entry.tenant_id != tenant_id or seal.hash != link_hash(
            entry, position=seal.position, previous=seal.previous_hash, key_id=seal.key_id
        ):
            verdict.faults.append(f"{place}: the entry {seal.entry_id} ({entry.action}) was changed.")
        head = by_position.pop(seal.position, None)
        if head is not None and head.hash != seal.hash:
            verdict.faults.append(f"{place}: rewritten after its head was told.")
        expected, previous = seal.position + 1, seal.hash
        verdict.entries += 1
    for position in sorted(by_position):
        verdict.faults.append(f"{slug} {position}: cut off; its head was told, and the chain ends at {expected - 1}.")


def _pairs(tenant_id: UUID | None) -> Iterator[tuple[AuditSeal, AuditEntry | None]]:
    position = 0
    while True:
        rows = AuditSeal.objects.of_chain(tenant_id).filter(position__gt=position).order_by("position")
        seals = list(rows[:AT_ONCE])
        if not seals:
            return
        entries: Mapping[UUID, AuditEntry] = AuditEntry.objects.in_bulk([seal.entry_id for seal in seals])
        for seal in seals:
            yield seal, entries.get(seal.entry_id)
        position = seals[-1].position


def _check_unsealed(verdict: Verdict) -> None:
    unsealed = AuditEntry.objects.filter(~Exists(AuditSeal.objects.filter(entry_id=OuterRef("id"))))
    waiting = Exists(Unsealed.objects.filter(subject_id=OuterRef("id")))
    for entry in unsealed.filter(~waiting).order_by("id")[:100]:
        verdict.faults.append(f"The entry {entry.id} ({entry.action}) was inserted past the trail.")
    tail = unsealed.filter(waiting).order_by("id")
    verdict.tail = tail.count()
    first = tail.first()
    if first is not None:
        verdict.oldest_in_tail = f"{first.id} ({first.action}, {first.at:%Y-%m-%d %H:%M:%S} UTC)"
