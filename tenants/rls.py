"""Who may do what with which table, in PostgreSQL itself: grants and row-level security, declared by each app and applied after migrate.

Apps call `register_table` in AppConfig.ready(). `apply_grants` runs as the owner, is safe to repeat, and touches nothing where nothing changed.
"""

import hashlib
from dataclasses import dataclass

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

TENANT_LIST = "string_to_array(nullif(current_setting('flexgate.tenants', true), ''), ',')::uuid[]"
SERIAL_LIST = "string_to_array(nullif(current_setting('flexgate.serials', true), ''), ',')"
CONFIG_LIST = "string_to_array(nullif(current_setting('flexgate.configs', true), ''), ',')::bigint[]"
ASKING_ID = "nullif(current_setting('flexgate.token', true), '')::uuid"
WHOLE_TENANT = (
    "current_setting('flexgate.narrowed', true) = 'no'"  # anything else, unset too, leaves only what is named
)
NOBODYS = "false"  # the row rule of a table that names tenants and is none of their business
LOCK_KEY = 7_019_334  # serialises concurrent appliers; held for the length of one short transaction


@dataclass(frozen=True, slots=True)
class TableRights:
    """Rights on one table. `tenant_rule` is the SQL condition that makes a row a tenant's; None = no row-level security (no tenant data).

    `tenant_check` is what a new or changed row must fulfil where that differs from what may be read.
    """

    table: str
    tenant: str = ""
    operator: str = ""
    auth: str = ""
    tenant_rule: str | None = None
    tenant_check: str | None = None


_registry: dict[str, TableRights] = {}


def owned_by(column: str = "tenant_id") -> str:
    """The usual rule: the row's tenant is one of the actor's."""
    return f"{column} = ANY({TENANT_LIST})"


def unnarrowed(column: str = "tenant_id") -> str:
    """A row of one of the actor's tenants that no narrowed token sees: it belongs to no serial and no config."""
    return f"{owned_by(column)} AND {WHOLE_TENANT}"


def register_table(
    table: str,
    *,
    tenant: str = "",
    operator: str = "",
    auth: str = "",
    tenant_rule: str | None = None,
    tenant_check: str | None = None,
) -> None:
    """Declare the rights (comma-separated SQL privileges) of the three roles on `table`."""
    _registry[table] = TableRights(table, tenant, operator, auth, tenant_rule, tenant_check)


def registered_tables() -> dict[str, TableRights]:
    return dict(_registry)


def apply_grants(connection: BaseDatabaseWrapper) -> bool:
    """Bring grants and policies in line with what the apps declared; True if anything had to change. Runs as the owner."""
    statements = [statement for rights in _registry.values() for statement in _statements_for(rights)]
    digest = hashlib.sha256("\n".join(statements).encode()).hexdigest()
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_KEY])
        cursor.execute("SELECT obj_description('tenants_tenant'::regclass, 'pg_class')")
        if cursor.fetchone() == (digest,):
            return False
        cursor.execute("SELECT quote_ident(current_database())")
        database = cursor.fetchone()[0]
        cursor.execute(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
        cursor.execute(
            f"GRANT TEMPORARY ON DATABASE {database} TO flexgate_operator"
        )  # statement lines are copied through one
        cursor.execute("GRANT USAGE ON SCHEMA public TO flexgate, flexgate_tenant, flexgate_operator, flexgate_auth")
        cursor.execute("GRANT SELECT ON django_migrations TO flexgate")  # readiness compares it with the code
        for statement in statements:
            cursor.execute(statement)
        cursor.execute(f"COMMENT ON TABLE tenants_tenant IS '{digest}'")
    return True


def _statements_for(rights: TableRights) -> list[str]:
    table = f'"{rights.table}"'
    statements = [f"REVOKE ALL ON {table} FROM flexgate, flexgate_tenant, flexgate_operator, flexgate_auth"]
    granted = {"flexgate_tenant": rights.tenant, "flexgate_operator": rights.operator, "flexgate_auth": rights.auth}
    statements += [f"GRANT {privileges} ON {table} TO {role}" for role, privileges in granted.items() if privileges]
    if rights.tenant_rule is None:
        return statements
    # One policy per role: a shared "everything OR mine" policy loses the index. The owner needs one too, or pg_dump and data
    # migrations silently see nothing under FORCE.
    rules = {
        "flexgate_owner": "true",
        "flexgate_operator": "true",
        "flexgate_auth": "true" if rights.auth else "false",
        "flexgate_tenant": rights.tenant_rule,
    }
    checks = rules | {"flexgate_tenant": rights.tenant_check or rights.tenant_rule}
    statements += [f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"]
    for role, rule in rules.items():
        statements.append(f"DROP POLICY IF EXISTS {role}_rows ON {table}")
        statements.append(f"CREATE POLICY {role}_rows ON {table} TO {role} USING ({rule}) WITH CHECK ({checks[role]})")
    return statements
