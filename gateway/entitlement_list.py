"""The entitlement list's reading side: one statement for a page with its filters, and the rows as the API shows them.

By hand and not through the ORM: to build the statement and to turn its times, ids and JSON into Python's took longer than all the
rest of a request. PostgreSQL hands every column over in the form in which it is shown; no row is touched more than once.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

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
# How fresh its account is, is asked once per account of the page and not once per row: whether a tenant may see an account's freshness
# is a question to PostgreSQL each time. A stopped entitlement's licence token is of no use and not shown.
STATEMENT = """
    WITH page AS MATERIALIZED (
        SELECT entitlement.serial_number, tenant.slug, entitlement.config_id, entitlement.account_id, entitlement.program_id, config.product,
            entitlement.description, entitlement.status, entitlement.start_day, entitlement.end_day,
            CASE WHEN entitlement.status <> 'STOPPED' AND {may_see_token} THEN nullif(entitlement.token, '') END AS token,
            nullif(entitlement.token_status, '') AS token_status, entitlement.labels::text AS labels,
            entitlement.operator_labels::text AS operator_labels, entitlement.first_seen_at,
            coalesce(entitlement.vanished_at, entitlement.missed_at) AS missed_at
        FROM gateway_entitlement entitlement
        JOIN gateway_config config ON config.id = entitlement.config_id
        LEFT JOIN tenants_tenant tenant ON tenant.id = entitlement.tenant_id
        WHERE {conditions}
        ORDER BY entitlement.serial_number {direction} LIMIT %s
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
    """A piece of WHERE and its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


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


def _read(
    actor: Actor, conditions: Sequence[Condition], *, upward: bool, count: int, by_key: bool = False
) -> list[dict[str, Any]]:
    token = _may_see_token(actor)
    statement = STATEMENT.format(
        may_see_token=token.sql,
        conditions=" AND ".join(condition.sql for condition in conditions) or "true",
        direction="ASC" if upward else "DESC",
    )
    parameters = [*token.parameters, *(value for condition in conditions for value in condition.parameters), count]
    return [_shown(row) for row in ask_as(actor, statement, parameters, by_key=by_key)]


def _shown(row: tuple[Any, ...]) -> dict[str, Any]:
    shown = dict(zip(SHOWN, row, strict=True))
    shown["labels"], shown["operator_labels"] = orjson.Fragment(row[12]), orjson.Fragment(row[13])
    return shown


def _visible_to(actor: Actor) -> list[Condition]:
    """The wall above row-level security, as Entitlement.objects.visible_to has it."""
    if actor.sees_every_tenant:
        return []
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
            return Condition("config.product = %s", (value,))
        case "label":
            key, given, wanted = value.partition("=")
            if given:
                return Condition("entitlement.labels @> %s::jsonb", (json.dumps({key: wanted}),))
            return Condition("entitlement.labels ? %s", (key,))
        case "search":
            pattern = f"%{value.translate(LIKE_ESCAPES)}%"
            texts = ("entitlement.description", "entitlement.serial_number", "entitlement.labels::text")
            found = " OR ".join(f"upper({text}::text) LIKE upper(%s)" for text in texts)
            return Condition(f"({found})", (pattern,) * len(texts))
    raise ValueError(f"There is no filter {name!r}.")


LIKE_ESCAPES = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})
