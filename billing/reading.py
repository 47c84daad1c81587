"""Look statements up: issued ones by number, drafts by month and tenant, and the ledger rows behind a line."""

import re
from typing import Any
from uuid import UUID

from billing.documents import describe_statement
from billing.models import Statement, StatementLine
from billing.statements import draft_statement
from gateway.models import LedgerEntry
from tenants.actors import Actor
from tenants.models import Tenant
from tenants.problems import not_found

DRAFT = re.compile(r"draft-(\d{4}-\d{2})-(.+)")


def find_statement(actor: Actor, number: str) -> Statement:
    """Inside `acting_as(actor)`. Problem `not_found` for what is not the actor's."""
    row = Statement.objects.visible_to(actor).select_related("tenant").filter(number=number).first()
    if row is None:
        raise not_found()
    return row


def read_statement(actor: Actor, number: str) -> dict[str, Any]:
    """A statement by its number, or a draft by `draft-YYYY-MM-SLUG`. Inside `acting_as(actor)`."""
    match = DRAFT.fullmatch(number)
    if match is None:
        statement = find_statement(actor, number)
        return describe_statement(statement, list(statement.lines.order_by("position")))
    tenant = Tenant.objects.visible_to(actor).filter(slug=match[2].lower(), internal=False).first()
    if tenant is None:
        raise not_found()
    try:
        return draft_statement(actor, tenant, match[1])
    except ValueError:
        raise not_found() from None


def read_evidence(actor: Actor, number: str, line_id: UUID) -> list[dict[str, Any]]:
    """The ledger's days behind a line, each with the kept answer that said so. Inside `acting_as(actor)`."""
    statement = find_statement(actor, number)
    line = StatementLine.objects.filter(statement=statement, id=line_id).first()
    if line is None:
        raise not_found()
    rows = LedgerEntry.objects.filter(
        tenant_id=statement.tenant_id,
        serial_number=line.serial_number,
        day__gte=line.service_from,
        day__lte=line.service_to,
    ).order_by("day")
    return [
        {"day": row.day, "serial_number": row.serial_number, "points": row.points, "fetch": row.fetch_id}
        for row in rows
    ]
