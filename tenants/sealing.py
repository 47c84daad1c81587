"""The sealer: after commit, one at a time, it gives events their place in the feeds and links audit entries into their tenant's chain.

Doing this inside the verbs would make every write wait for every other; reading by id alone misses rows, because a smaller id may
commit later. So a trigger queues each new row (Unsealed), and whoever holds the lease works the queue off.
"""

import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection

from tenants import clock
from tenants.actors import system
from tenants.context import acting_as
from tenants.events import record_event
from tenants.keyrings import Keyring, parse_keyring
from tenants.leases import lease_for
from tenants.models import AuditEntry, AuditHead, AuditSeal, Lease, Tenant, Unsealed

SEALER = system("sealer")
LEASE = 60  # seconds
BATCH = 2000
START = "0" * 64  # what the first entry of a chain follows
PLACE_EVENTS = """
    WITH batch AS MATERIALIZED (
        SELECT e.id, e.tenant_id FROM tenants_unsealed u JOIN tenants_event e ON e.id = u.subject_id
        LEFT JOIN tenants_eventposition p ON p.event_id = e.id
        WHERE u.kind = 'event' AND p.event_id IS NULL ORDER BY e.id LIMIT %s
    ), heads AS MATERIALIZED (  -- one look per tenant, each by index: IS NOT DISTINCT FROM has none
        SELECT t.tenant_id, CASE
            WHEN t.tenant_id IS NULL THEN (SELECT max(p.position) FROM tenants_eventposition p WHERE p.tenant_id IS NULL)
            ELSE (SELECT max(p.position) FROM tenants_eventposition p WHERE p.tenant_id = t.tenant_id)
        END AS position
        FROM (SELECT DISTINCT tenant_id FROM batch) t
    ), last AS MATERIALIZED (SELECT max(p.operator_position) AS position FROM tenants_eventposition p)
    INSERT INTO tenants_eventposition (event_id, tenant_id, position, operator_position)
    SELECT b.id, b.tenant_id,
        coalesce(h.position, 0) + row_number() OVER (PARTITION BY b.tenant_id ORDER BY b.id),
        coalesce(last.position, 0) + row_number() OVER (ORDER BY b.id)
    FROM batch b JOIN heads h ON h.tenant_id IS NOT DISTINCT FROM b.tenant_id CROSS JOIN last
"""
FORGET_PLACED = """
    DELETE FROM tenants_unsealed u USING tenants_eventposition p WHERE u.kind = 'event' AND p.event_id = u.subject_id
"""
NEXT_ENTRIES = """
    SELECT e.id FROM tenants_unsealed u JOIN tenants_auditentry e ON e.id = u.subject_id
    LEFT JOIN tenants_auditseal s ON s.entry_id = e.id
    WHERE u.kind = 'audit' AND s.entry_id IS NULL ORDER BY e.id LIMIT %s
"""
FORGET_SEALED = """
    DELETE FROM tenants_unsealed u USING tenants_auditseal s WHERE u.kind = 'audit' AND s.entry_id = u.subject_id
"""
log = structlog.get_logger("flexgate.audit")


@cache
def audit_keys() -> Keyring:
    return parse_keyring(settings.FLEXGATE_AUDIT_KEYS, name="FLEXGATE_AUDIT_KEYS")


def seal_events() -> int:
    """Place every committed event that has no place yet; how many. 0 while somebody else is at it."""
    return _while_leased("seal events", "event", _place_events)


def seal_audit() -> int:
    """Link every committed audit entry that is not linked yet; how many. 0 while somebody else is at it."""
    return _while_leased("seal audit", "audit", _link_entries)


def _while_leased(name: str, kind: str, work: Callable[[], int]) -> int:
    """Batch after batch, each its own transaction, which holds the lease's row for exactly as long as it lasts."""
    total = 0
    while True:
        with acting_as(SEALER):
            if not Unsealed.objects.filter(kind=kind).exists():
                return total
            Lease.objects.bulk_create([Lease(name=name)], ignore_conflicts=True)
            held = Lease.objects.select_for_update(skip_locked=True).filter(name=name).first()
            done = work() if held is not None else 0
        total += done
        if done < BATCH:
            return total


def _place_events() -> int:
    with connection.cursor() as cursor:
        cursor.execute(PLACE_EVENTS, [BATCH])
        placed = int(cursor.rowcount)
        cursor.execute(FORGET_PLACED)
    return placed


def _link_entries() -> int:
    with connection.cursor() as cursor:
        cursor.execute(NEXT_ENTRIES, [BATCH])
        entries = list(AuditEntry.objects.filter(id__in=[row[0] for row in cursor.fetchall()]).order_by("id"))
    chains: dict[UUID | None, list[AuditEntry]] = defaultdict(list)
    for entry in entries:
        chains[entry.tenant_id].append(entry)
    seals = [seal for tenant_id, chain in chains.items() for seal in _seal_chain(tenant_id, chain)]
    AuditSeal.objects.bulk_create(seals, batch_size=500)
    with connection.cursor() as cursor:
        cursor.execute(FORGET_SEALED)
    return len(entries)


def _seal_chain(tenant_id: UUID | None, chain: list[AuditEntry]) -> Iterator[AuditSeal]:
    last = AuditSeal.objects.of_chain(tenant_id).order_by("-position").first()
    position, previous, now = (last.position, last.hash, clock.now()) if last else (0, START, clock.now())
    for entry in chain:
        position += 1
        seal = AuditSeal(
            entry_id=entry.id,
            tenant_id=tenant_id,
            position=position,
            previous_hash=previous,
            key_id=audit_keys().newest,
            sealed_at=now,
        )
        seal.hash = previous = link_hash(seal, entry)
        yield seal


def link_hash(seal: AuditSeal, entry: AuditEntry) -> str:
    """HMAC-SHA256 over the place, the predecessor and all that the entry says. Whoever owns the database but not the key can't make it."""
    said = {
        "position": seal.position,
        "previous": seal.previous_hash,
        "sealed_at": seal.sealed_at.isoformat(),
        "id": str(entry.id),
        "at": entry.at.isoformat(),
        "tenant": str(entry.tenant_id or ""),
        "actor": entry.actor,
        "address": entry.address,
        "action": entry.action,
        "subject_type": entry.subject_type,
        "subject_key": entry.subject_key,
        "request_id": entry.request_id,
        "before": entry.before,
        "after": entry.after,
    }
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), default=_exactly)
    return hmac.new(audit_keys().keys[seal.key_id], text.encode(), hashlib.sha256).hexdigest()


def _exactly(value: Any) -> Any:
    """A number with a fraction must not read like the text of it."""
    if isinstance(value, Decimal):
        return {"number": str(value)}
    raise TypeError(f"{type(value).__name__} is not JSON")


def tell_heads() -> int:
    """Tell the outside where each chain stands, if it moved: one log line and one event each; how many. Keep the log elsewhere."""
    told = 0
    with lease_for("tell audit heads", seconds=LEASE) as held:
        if held is None:
            return 0
        with acting_as(SEALER):
            slugs: dict[UUID | None, str] = {None: "operator", **dict(Tenant.objects.values_list("id", "slug"))}
            for tenant_id, slug in slugs.items():
                last = AuditSeal.objects.of_chain(tenant_id).order_by("-position").first()
                if last is None or AuditHead.objects.of_chain(tenant_id).filter(position=last.position).exists():
                    continue
                AuditHead.objects.create(
                    tenant_id=tenant_id, position=last.position, hash=last.hash, told_at=clock.now()
                )
                head = {"position": last.position, "hash": last.hash}
                record_event("audit.head", subject_type="audit", subject_key=slug, tenant_id=tenant_id, data=head)
                log.warning("audit head", chain=slug, chain_id=str(tenant_id or ""), **head)
                told += 1
    return told
