"""The sealer: after commit, one at a time, it gives events their place in the feeds and links audit entries into their tenant's chain.

Doing this inside the verbs would make every write wait for every other; reading by id alone misses rows, because a smaller id may
commit later. So a trigger queues each new row (Unsealed), and whoever holds the lease works the queue off.
"""

import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from uuid import UUID

import structlog
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from tenants import clock
from tenants.actors import system
from tenants.context import acting_as
from tenants.events import record_event
from tenants.keyrings import Keyring, parse_keyring
from tenants.leases import lease_for
from tenants.models import AuditEntry, AuditHead, AuditSeal, Tenant, Unsealed

SEALER = system("sealer")
LEASE = 60  # seconds
BATCH = 2000
START = "0" * 64  # what the first entry of a chain follows
PLACE_EVENTS = """
    WITH batch AS (
        SELECT e.id, e.tenant_id FROM tenants_unsealed u JOIN tenants_event e ON e.id = u.subject_id
        WHERE u.kind = 'event' ORDER BY e.id LIMIT %s
    ), numbered AS (
        SELECT id, tenant_id, row_number() OVER (PARTITION BY tenant_id ORDER BY id) AS own, row_number() OVER (ORDER BY id) AS every
        FROM batch
    ), placed AS (
        INSERT INTO tenants_eventposition (event_id, tenant_id, position, operator_position)
        SELECT n.id, n.tenant_id,
            n.own + coalesce((
                SELECT max(p.position) FROM tenants_eventposition p WHERE p.tenant_id IS NOT DISTINCT FROM n.tenant_id
            ), 0),
            n.every + coalesce((SELECT max(p.operator_position) FROM tenants_eventposition p), 0)
        FROM numbered n ORDER BY n.every
        RETURNING event_id
    )
    DELETE FROM tenants_unsealed WHERE subject_id IN (SELECT event_id FROM placed)
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
    with acting_as(SEALER):
        if not Unsealed.objects.filter(kind=kind).exists():
            return 0
    total = 0
    with lease_for(name, seconds=LEASE) as held:
        while held is not None:
            with acting_as(SEALER):
                done = work()
            total += done
            if done < BATCH:
                break
    return total


def _place_events() -> int:
    with connection.cursor() as cursor:
        cursor.execute(PLACE_EVENTS, [BATCH])
        return int(cursor.rowcount)


def _link_entries() -> int:
    waiting = Unsealed.objects.filter(kind="audit").order_by("subject_id").values("subject_id")[:BATCH]
    entries = list(AuditEntry.objects.filter(id__in=waiting).order_by("id"))
    chains: dict[UUID | None, list[AuditEntry]] = defaultdict(list)
    for entry in entries:
        chains[entry.tenant_id].append(entry)
    seals = []
    for tenant_id, chain in chains.items():
        last = AuditSeal.objects.of_chain(tenant_id).order_by("-position").first()
        position, previous = (last.position, last.hash) if last else (0, START)
        for entry in chain:
            position += 1
            key_id = audit_keys().newest
            sealed = link_hash(entry, position=position, previous=previous, key_id=key_id)
            seals.append(
                AuditSeal(
                    entry_id=entry.id,
                    tenant_id=tenant_id,
                    position=position,
                    previous_hash=previous,
                    hash=sealed,
                    key_id=key_id,
                )
            )
            previous = sealed
    AuditSeal.objects.bulk_create(seals, batch_size=500)
    Unsealed.objects.filter(subject_id__in=[entry.id for entry in entries]).delete()
    return len(entries)


def link_hash(entry: AuditEntry, *, position: int, previous: str, key_id: str) -> str:
    """HMAC-SHA256 over the entry's place, its predecessor and all that it says. Whoever owns the database but not the key can't make it."""
    said = {
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
    text = json.dumps([position, previous, said], sort_keys=True, separators=(",", ":"), cls=DjangoJSONEncoder)
    return hmac.new(audit_keys().keys[key_id], text.encode(), hashlib.sha256).hexdigest()


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
