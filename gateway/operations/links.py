"""What was asked for at once and takes two writes: which operation follows by itself, and which one it came after."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models.fields.json import KT

from gateway.models import Operation
from gateway.operations.settling import JOURNAL
from gateway.operations.traces import leads_on
from tenants.actors import Actor
from tenants.context import ask_as

Kind = Operation.Kind
# A device is described after its creation, and an end date put back after a reactivation.
FOLLOWED_KINDS = frozenset({Kind.CREATE_HARDWARE, Kind.REACTIVATE})


@dataclass(frozen=True, slots=True)
class Links:
    """Operations' ids; None = there is none, or none that the caller may see."""

    follows: UUID | None = None
    followed_by: UUID | None = None


NO_LINKS = Links()


def find_links(actor: Actor, operations: Sequence[Operation]) -> dict[UUID, Links]:
    """Whose are left out have none. One statement for a whole page; none of it where nothing follows, and nothing can have followed.

    What follows is planned in the transaction that settles the first: a first one that is settled without it has none and gets none.
    Of several, as for the texts of many devices, it is the last: the worker sends them in their order.
    """
    before = {row.id: UUID(row.intent["follows"]) for row in operations if "follows" in row.intent}
    firsts = [str(row.id) for row in operations if _may_be_followed(row)]
    if not before and not firsts:
        return {}
    # Asked as the gateway, because a tenant's role can't use the index; so the wall stands here in words.
    rows = Operation.objects.visible_to(actor)
    asked = rows.filter(id__in=before.values()).values_list("id", KT("intent__follows"))
    asked = asked.union(rows.following(firsts).values_list("id", KT("intent__follows")))
    found = sorted(ask_as(JOURNAL, *asked.query.sql_with_params()))
    seen, last = {id for id, _ in found}, {first: id for id, first in found}
    return {
        row.id: Links(
            follows=before[row.id] if before.get(row.id) in seen else None,
            followed_by=last.get(str(row.id)) if _may_be_followed(row) else None,
        )
        for row in operations
    }


def _may_be_followed(operation: Operation) -> bool:
    return operation.settled_at is not None and (operation.kind in FOLLOWED_KINDS or leads_on(operation))
