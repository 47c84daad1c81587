"""Idempotency keys: one key, one creation, for 30 days. What was made is the memory; no answer is kept, and none of its secrets.

Operations carry their key themselves (gateway.provisioning.idempotency). What else a POST creates is remembered in a row of its own, written
in the transaction that creates it: a refusal leaves no row, so the key stays free.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from django.db import IntegrityError, connection, transaction
from django.db.models import Model, QuerySet

from tenants import clock
from tenants.actors import Actor, ActorKind, system
from tenants.context import acting_as
from tenants.models import Tenant, UsedKey
from tenants.problems import Problem, invalid
from tenants.token_secrets import hash_request, possible_request_hashes

LONGEST_KEY = 255
KEPT = timedelta(days=30)
USED_OTHERWISE = "This Idempotency-Key was used for another request. Use a new one."
REPLAYED = {"Idempotent-Replayed": "true"}
KEEPER = system("idempotency")
T = TypeVar("T")
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """`stored` is a digest: the operator's keys and a tenant's own never meet. `fingerprint` tells whether path and body are the same."""

    stored: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """What a request led to. `replayed` = an earlier request with the same key had made it."""

    thing: T
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Subject(Generic[T]):
    """What kind of thing a key leads to, by which text it is remembered, and how it is found again: as who asks sees it today, or None."""

    kind: str
    name: Callable[[T], object]
    find: Callable[[str], T | None]


def row_of(rows: "QuerySet[Row]") -> Subject[Row]:
    """A row, found again among `rows`, which are what the actor may see."""
    return Subject(rows.model._meta.label_lower, lambda row: row.pk, lambda name: rows.filter(pk=name).first())


def read_key(actor: Actor, text: str | None, *, path: str, body: Any) -> IdempotencyKey | None:
    """The key of a request. Problem `invalid` for an empty or overlong one."""
    if text is None:
        return None
    if not 1 <= len(text) <= LONGEST_KEY:
        raise invalid("Idempotency-Key", f"Idempotency-Key takes 1 to {LONGEST_KEY} characters.")
    # A person's keys are their own: one that a tenant's token also used must not lead to what the tenant made.
    asker = "operator" if actor.sees_every_tenant else actor.name if actor.kind is ActorKind.STAFF else "tenant"
    stored = hashlib.sha256(f"{asker}:{text}".encode()).hexdigest()
    return IdempotencyKey(stored, hashlib.sha256(path.encode() + b"\n" + _canonical(body)).hexdigest())


def make_once(
    actor: Actor,
    key: IdempotencyKey | None,
    make: Callable[[], T],
    *,
    subject: Subject[T],
    tenant: Tenant | None = None,
) -> Made[T]:
    """What `make` makes, or what this key made before. Of two at once one makes, and the other waits for it.

    `tenant` is whose thing it is; None = what the operator alone makes. Problem `idempotency_mismatch` if the key came with another path or
    body, or leads to what the actor does not see (any more). What `make` raises leaves the key free. `make` must not call FortiFlex: all is
    one transaction.
    """
    if key is None:
        return Made(make())
    with acting_as(actor):
        _wait_for_twin(actor, key, tenant)
        earlier = find_made(actor, key, subject=subject, tenant=tenant)
        if earlier is not None:
            return earlier
        thing = make()
        _remember(actor, key, tenant, subject.kind, str(subject.name(thing)))
    return Made(thing)


def find_made(
    actor: Actor, key: IdempotencyKey | None, *, subject: Subject[T], tenant: Tenant | None = None
) -> Made[T] | None:
    """What this key made before; None = nothing. Inside an open `acting_as(actor)`. Problem `idempotency_mismatch` as in `make_once`."""
    if key is None:
        return None
    rows = UsedKey.objects.filter(tenant=_owner(actor, tenant), key=key.stored, created_at__gt=_oldest())
    used = rows.first()
    if used is None:
        return None
    same = bytes(used.fingerprint) in possible_request_hashes(key.fingerprint) and used.subject_type == subject.kind
    thing = subject.find(used.subject_key) if same else None
    if thing is None:
        raise Problem("idempotency_mismatch", USED_OTHERWISE)
    return Made(thing, replayed=True)


def forget_old_keys() -> int:
    """Drop those that are too old to count; how many."""
    with acting_as(KEEPER):
        removed, _ = UsedKey.objects.filter(created_at__lte=_oldest()).delete()
    return removed


def _wait_for_twin(actor: Actor, key: IdempotencyKey, tenant: Tenant | None) -> None:
    """Hold the key until this transaction ends, and take a row that is too old out of the way.

    A lock and not the unique constraint alone: whoever waited has made nothing yet that would have to be undone, and takes no refusal for
    its own ("the name is taken") that its twin's creation caused.
    """
    owner = _owner(actor, tenant)
    with acting_as(KEEPER):
        with connection.cursor() as cursor:
            held = f"key {owner.id if owner else None} {key.stored}"
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [held])
        UsedKey.objects.filter(tenant=owner, key=key.stored, created_at__lte=_oldest()).delete()


def _remember(actor: Actor, key: IdempotencyKey, tenant: Tenant | None, kind: str, name: str) -> None:
    try:
        with transaction.atomic():
            UsedKey.objects.create(
                tenant=_owner(actor, tenant),
                key=key.stored,
                fingerprint=hash_request(key.fingerprint),  # keyed: the body may hold a password
                subject_type=kind,
                subject_key=name,
                asked_with=actor.token_id,
            )
    except IntegrityError:  # the same tenant's, and out of this narrowed token's sight; what was made is undone
        raise Problem("idempotency_mismatch", USED_OTHERWISE) from None


def _owner(actor: Actor, tenant: Tenant | None) -> Tenant | None:
    return None if actor.sees_every_tenant else tenant


def _oldest() -> datetime:
    return clock.now() - KEPT


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, default=str).encode()
