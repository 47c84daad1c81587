"""Named leases: the right to do one piece of work alone for a while, held by a row and never by an open transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from django.db.models import Q

from tenants import clock, ids
from tenants.actors import system
from tenants.context import acting_as
from tenants.models import Lease
from tenants.rows import Statement


def take_lease(name: str, *, seconds: float) -> UUID | None:
    """The holder id if the lease was free or had run out, else None. A dead holder's lease runs out by itself."""
    holder, now = ids.new_id(), clock.now()
    with acting_as(system("lease")):
        Lease.objects.bulk_create([Lease(name=name)], ignore_conflicts=True)
        free = Q(held_until__isnull=True) | Q(held_until__lte=now)
        # A row that somebody has locked is held (`still_held`): whoever asks is told so and does not wait for it.
        unlocked = Lease.objects.filter(free, name=name).select_for_update(skip_locked=True).values("name")
        taken = Lease.objects.filter(name__in=unlocked).update(
            holder=holder, held_until=now + timedelta(seconds=seconds)
        )
    return holder if taken else None


def extend_lease(name: str, holder: UUID, *, seconds: float) -> bool:
    """Hold it longer; False if somebody else holds it now, and the work must stop."""
    with acting_as(system("lease")):
        return bool(
            Lease.objects.filter(name=name, holder=holder).update(held_until=clock.now() + timedelta(seconds=seconds))
        )


def still_held(name: str, holder: UUID) -> Statement:
    """An expression, false if it has run out or somebody else holds it. Where it is true nobody takes it before the transaction ends."""
    text = "EXISTS (SELECT 1 FROM tenants_lease WHERE name = %s AND holder = %s AND held_until > %s FOR UPDATE)"
    return Statement(text, [name, holder, clock.now()])


def give_back_lease(name: str, holder: UUID) -> None:
    with acting_as(system("lease")):
        Lease.objects.filter(name=name, holder=holder).update(holder=None, held_until=None)


def drop_lease(name: str, holder: UUID) -> None:
    """Give it back for good: for names that are used once and never again."""
    with acting_as(system("lease")):
        Lease.objects.filter(name=name, holder=holder).delete()


def forget_old_leases(*, prefix: str) -> int:
    """Drop those that begin with `prefix` and ran out; how many. Inside an `acting_as` of the gateway itself."""
    removed, _ = Lease.objects.filter(name__startswith=prefix, held_until__lte=clock.now()).delete()
    return removed


@contextmanager
def lease_for(name: str, *, seconds: float) -> Iterator[UUID | None]:
    """The lease for the length of a block; None inside it means: somebody else is at it, leave it to them."""
    holder = take_lease(name, seconds=seconds)
    try:
        yield holder
    finally:
        if holder is not None:
            give_back_lease(name, holder)
