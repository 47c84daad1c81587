"""A hand-over renews an unused licence token: the owner before could read it, and whoever injects it first has the licence.

Until the worker has done so the new owner is shown the old token, which works and which the old owner knows. FortiFlex ends the old one
only once the new one is used (reference 2.4, entitlements/vm/token), so a new owner should inject soon.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import structlog

from gateway.catalogue import form_of, product_types
from gateway.models import ApiUser, Assignment, Entitlement, Operation
from gateway.operations import Plan, State, digest_token, hold_readers, plan_operations
from tenants.actors import Actor

UNUSED = "NOTUSED"  # FortiFlex's word for a licence token that was not injected yet
STATUSES = ("PENDING", "ACTIVE")
log = structlog.get_logger("flexgate.ownership")


@dataclass(frozen=True, slots=True)
class Flip:
    """An entitlement that has just changed hands."""

    serial_number: str
    before: UUID | None
    after: UUID | None


def renew_unused_tokens(actor: Actor, flips: Sequence[Flip], *, day: date) -> list[Operation]:
    """Plan a new licence token for each VM that came from one owner to another with its token unused. The worker sends them.

    The owner before may lie behind a time when it was nobody's; what nobody owned before `day` keeps its token. Inside the transaction
    of the hand-over. Where no API user reaches the account nothing is planned and a warning is logged: no hand-over fails for it.
    """
    owned_before = _owned_before([flip.serial_number for flip in flips], day=day)
    known = [
        flip.serial_number
        for flip in flips
        if flip.after is not None
        and (flip.before is not None or owned_before.get(flip.serial_number, set()) - {flip.after})
    ]
    rows = Entitlement.objects.filter(
        serial_number__in=known, token_status=UNUSED, status__in=STATUSES, vanished_at__isnull=True
    )
    candidates = list(
        rows.exclude(token="").select_related("config").defer("raw", "config__raw").order_by("serial_number")
    )
    if not candidates:
        return []
    planned = _planned_already(candidates)
    readers, products = _readers_of(candidates), {}
    plans = []
    for row in candidates:
        reader = readers.get((row.program_id, row.account_id))
        if reader is None:
            log.warning("token not renewed", serial=row.serial_number, reason="no enabled API user reaches its account")
            continue
        if reader.api_url not in products:
            products[reader.api_url] = {product.id: product for product in product_types([reader.api_url])}
        product_type_id = row.config.product_type_id
        is_vm = form_of(products[reader.api_url].get(product_type_id), product_type_id) == "vm"
        if is_vm and (row.serial_number, row.tenant_id) not in planned:
            plans.append(_plan_for(row, reader))
    return plan_operations(actor, plans)


def _plan_for(row: Entitlement, reader: ApiUser) -> Plan:
    return Plan(
        kind=Operation.Kind.RENEW_TOKEN,
        tenant_id=row.tenant_id,
        api_user_id=reader.id,
        program_serial=row.program_id,
        account_id=row.account_id,
        config_id=row.config_id,
        serial_numbers=[row.serial_number],
        intent={"because": "handover"},
        before={"token_digest": digest_token(row.token)},
    )


def _owned_before(serials: Sequence[str], *, day: date) -> dict[str, set[UUID]]:
    """Who owned each serial on a day before `day`."""
    found: dict[str, set[UUID]] = {}
    rows = Assignment.objects.filter(serial_number__in=serials, from_day__lt=day)
    for serial, tenant_id in rows.values_list("serial_number", "tenant_id"):
        found.setdefault(serial, set()).add(tenant_id)
    return found


def _planned_already(rows: Sequence[Entitlement]) -> set[tuple[str, UUID | None]]:
    """What waits to be sent for this owner need not be planned twice; what was planned for another ends unsent."""
    waiting = Operation.objects.filter(
        kind=Operation.Kind.RENEW_TOKEN,
        state=State.PLANNED,
        serial_numbers__overlap=[row.serial_number for row in rows],
    )
    return {(names[0], tenant_id) for names, tenant_id in waiting.values_list("serial_numbers", "tenant_id")}


def _readers_of(rows: Sequence[Entitlement]) -> dict[tuple[str, int], ApiUser]:
    """They stay who they are until the plans are committed."""
    held = hold_readers([(row.program_id, row.account_id) for row in rows])
    readers = {reader.id: reader for reader in ApiUser.objects.filter(id__in=set(held.values()), enabled=True)}
    return {place: readers[api_user_id] for place, api_user_id in held.items() if api_user_id in readers}
