"""The entitlement list's reading side: one statement for a page with its filters, and the rows as the API shows them.

By hand and not through the ORM: to build the statement and to turn its times, ids and JSON into Python's took longer than all the
rest of a request. PostgreSQL hands every column over in the form in which it is shown; no row is touched more than once.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import orjson

from gateway.models import Operation
from tenants.actors import Actor, ActorKind
from tenants.context import ask_as

UNASSIGNED = "unassigned"
SHOWN = (
    "serial_number",
    "tenant",
    "config",
    "account_id",
    "program",
    "product",
    "description",
    "status",
    "start_date",
    "end_date",
    "token",
    "token_status",
    "labels",
    "operator_labels",
    "seen_at",
)
# Texts and labels are looked at row by row in the order of the page, which ends with its last row: how many will be found PostgreSQL
# can't know under row-level security (LIKE and @> are not leakproof), and it sorted all that were. OFFSET 0 keeps it from choosing.
# An index over texts was measured and left out (100,000 rows, 50,000 of them the tenant's): a tenant's role can't use it, and one that
# all share would tell it by its time what others wrote; the operator's rare word went from 150 to 3 ms, its frequent one from 2 to 340,
# and each new row took 0.17 ms longer to write.
# How fresh its account is, is asked once per account of the page and not once per row: whether a tenant may see an account's freshness
# is a question to PostgreSQL each time. A stopped entitlement's licence token is of no use and not shown.
STATEMENT = """
    WITH chosen AS MATERIALIZED (
        SELECT * FROM (
            SELECT * FROM gateway_entitlement entitlement WHERE {walls} ORDER BY entitlement.serial_number {direction} {fence}
        ) entitlement WHERE {texts} LIMIT %s
    ), page AS MATERIALIZED (
        SELECT entitlement.serial_number, tenant.slug, entitlement.config_id, entitlement.account_id, entitlement.program_id, config.product,
            entitlement.description, entitlement.status, entitlement.start_day, entitlement.end_day,
            CASE WHEN entitlement.status <> 'STOPPED' AND {may_see_token} THEN nullif(entitlement.token, '') END AS token,
            nullif(entitlement.token_status, '') AS token_status, entitlement.labels::text AS labels,
            entitlement.operator_labels::text AS operator_labels, entitlement.first_seen_at,
            coalesce(entitlement.vanished_at, entitlement.missed_at) AS missed_at
        FROM chosen entitlement
        JOIN gateway_config config ON config.id = entitlement.config_id
        LEFT JOIN tenants_tenant tenant ON tenant.id = entitlement.tenant_id
    ), freshness AS MATERIALIZED (
        SELECT place.program_id, place.account_id, account.mirrored_at
        FROM (SELECT DISTINCT program_id, account_id FROM page) place CROSS JOIN LATERAL (
            SELECT mirrored_at FROM gateway_programaccount account
            WHERE account.program_id = place.program_id AND account.account_id = place.account_id LIMIT 1
        ) account
    )
    SELECT page.serial_number, page.slug, page.config_id, page.account_id, page.program_id, page.product, page.description, page.status,
        page.start_day, page.end_day, page.token, page.token_status, page.labels, page.operator_labels,
        to_char(coalesce(page.missed_at, greatest(page.first_seen_at, freshness.mirrored_at)) AT TIME ZONE 'UTC',
            'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    FROM page LEFT JOIN freshness USING (program_id, account_id)
    ORDER BY page.serial_number {direction}
"""


@dataclass(frozen=True, slots=True)
class Condition:
    """A piece of WHERE and its parameters. `late` = how many rows it leaves nobody can estimate."""

    sql: str
    parameters: tuple[Any, ...] = ()
    late: bool = False


def find_entitlements(
    actor: Actor, filters: Mapping[str, Any], *, beyond: str | None = None, upward: bool = True, count: int
) -> list[dict[str, Any]]:
    """At most `count` entitlements that `actor` sees and `filters` leave, by serial from `beyond` on. Stands as `actor` by itself.

    `filters`: tenant, status, config, product, label, search; an unknown or foreign value leaves nothing.
    """
    conditions = [*_visible_to(actor), *(_condition_for(name, value) for name, value in filters.items())]
    if beyond is not None:
        conditions.append(Condition(f"entitlement.serial_number {'>' if upward else '<'} %s", (beyond,)))
    return _read(actor, conditions, upward=upward, count=count)


def read_entitlements(actor: Actor, serials: Iterable[str]) -> list[dict[str, Any]]:
    """Those of `serials` that `actor` sees, by serial. Stands as `actor` by itself."""
    named = list(serials)
    conditions = [*_visible_to(actor), Condition("entitlement.serial_number = ANY(%s::text[])", (named,))]
    return _read(actor, conditions, upward=True, count=len(named), by_key=True)


def show_made(actor: Actor, operation: Operation) -> list[dict[str, Any]] | None:
    """As `read_entitlements` of what `operation` made, if this process has just written it: then nothing has to be asked for.

    None where it has not. Whoever made it sees it.
    """
    if operation.made is None or operation.loaded_config is None:
        return None
    owner, product = operation.tenant, operation.loaded_config.product
    may_see = actor.may("entitlements:write") if actor.kind is not ActorKind.STAFF else False
    may_see = may_see or (owner is not None and actor.may_on("entitlements:write", owner.id))
    return [
        {
            "serial_number": row.serial_number,
            "tenant": owner.slug if owner else None,
            "config": row.config_id,
            "account_id": row.account_id,
            "program": row.program_id,
            "product": product,
            "description": row.description,
            "status": row.status,
            "start_date": row.start_day,
            "end_date": row.end_day,
            "token": (row.token or None) if may_see and row.status != "STOPPED" else None,
            "token_status": row.token_status or None,
            "labels": row.labels,
            "operator_labels": row.operator_labels,
            "seen_at": f"{row.first_seen_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
        }
        for row in sorted(operation.made, key=lambda row: row.serial_number)
    ]


def _read(
    actor: Actor, conditions: Sequence[Condition], *, upward: bool, count: int, by_key: bool = False
) -> list[dict[str, Any]]:
    token = _may_see_token(actor)
    walls = [condition for condition in conditions if not condition.late]
    texts = [condition for condition in conditions if condition.late]
    statement = STATEMENT.format(
        may_see_token=token.sql,
        walls=" AND ".join(condition.sql for condition in walls) or "true",
        texts=" AND ".join(condition.sql for condition in texts) or "true",
        direction="ASC" if upward else "DESC",
        fence="OFFSET 0" if texts else "",
    )
    values = [value for condition in [*walls, *texts] for value in condition.parameters]
    parameters = [*values, count, *token.parameters]
    return [_shown(row) for row in ask_as(actor, statement, parameters, by_key=by_key)]


def _shown(row: tuple[Any, ...]) -> dict[str, Any]:
    shown = dict(zip(SHOWN, row, strict=True))
    shown["labels"], shown["operator_labels"] = orjson.Fragment(row[12]), orjson.Fragment(row[13])
    return shown


def _visible_to(actor: Actor) -> list[Condition]:
    """The wall above row-level security, as Entitlement.objects.visible_to has it."""
    if actor.sees_every_tenant:
        return []
    if len(actor.tenant_ids) == 1:  # so that the index by tenant hands the rows over in the order of the page
        mine = Condition("entitlement.tenant_id = %s", (actor.tenant_ids[0],))
    else:
        mine = Condition("entitlement.tenant_id = ANY(%s::uuid[])", (list(actor.tenant_ids),))
    if actor.reach is None:
        return [mine]
    named = "(entitlement.serial_number = ANY(%s::text[]) OR entitlement.config_id = ANY(%s::bigint[]))"
    return [mine, Condition(named, (sorted(actor.reach.entitlements), sorted(actor.reach.configs)))]


def _may_see_token(actor: Actor) -> Condition:
    """Licence tokens are for those who may write: a staff user perhaps to some tenants' alone."""
    if actor.kind is not ActorKind.STAFF:
        return Condition("true" if actor.may("entitlements:write") else "false")
    writable = [tenant for tenant in actor.tenant_ids if actor.may_on("entitlements:write", tenant)]
    return Condition("entitlement.tenant_id = ANY(%s::uuid[])", (writable,))


def _condition_for(name: str, value: Any) -> Condition:
    match name:
        case "tenant" if value == UNASSIGNED:
            return Condition("entitlement.tenant_id IS NULL")
        case "tenant":
            return Condition("entitlement.tenant_id = (SELECT id FROM tenants_tenant WHERE slug = %s)", (value,))
        case "status":
            return Condition("entitlement.status = %s", (value.upper(),))
        case "config":
            return Condition("entitlement.config_id = %s", (value,))
        case "product":
            return Condition("entitlement.config_id IN (SELECT id FROM gateway_config WHERE product = %s)", (value,))
        case "label":
            key, given, wanted = value.partition("=")
            if given:
                return Condition("entitlement.labels @> %s::jsonb", (json.dumps({key: wanted}),), late=True)
            return Condition("entitlement.labels ? %s", (key,), late=True)
        case "search":
            # Any part of any of the three, whatever the case.
            pattern = f"%{value.translate(LIKE_ESCAPES)}%"
            found = " OR ".join(f"upper({text}) LIKE upper(%s)" for text in SEARCHED)
            return Condition(f"({found})", (pattern,) * len(SEARCHED), late=True)
    raise ValueError(f"There is no filter {name!r}.")


SEARCHED = ("entitlement.description", "entitlement.serial_number", "entitlement.labels::text")
LIKE_ESCAPES = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})
