"""Who may do what with which table, in PostgreSQL itself: grants and row-level security, declared by each app and applied after migrate.

Apps call `register_table` in AppConfig.ready(). `apply_grants` runs as the owner, is safe to repeat, and touches nothing where nothing changed.
"""

import hashlib
from dataclasses import dataclass

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

# A scalar subquery is worked out once per statement; the bare expression would be split anew for every row.
TENANT_LIST = "(SELECT string_to_array(nullif(current_setting('flexgate.tenants', true), ''), ',')::uuid[])::uuid[]"
SERIAL_LIST = "string_to_array(nullif(current_setting('flexgate.serials', true), ''), ',')"
CONFIG_LIST = "string_to_array(nullif(current_setting('flexgate.configs', true), ''), ',')::bigint[]"
ASKING_ID = "nullif(current_setting('flexgate.token', true), '')::uuid"
NOBODYS = "false"  # the row rule of a table that names tenants and is none of their business
EVERYBODY = "flexgate, flexgate_tenant, flexgate_narrowed, flexgate_operator, flexgate_auth"
LOCK_KEY = 7_019_334  # serialises concurrent appliers; held for the length of one short transaction


@dataclass(frozen=True, slots=True)
class TableRights:
    """Rights on one table. `tenant_rule` is the SQL condition that makes a row a tenant's; None = no row-level security (no tenant data).

    `tenant_check` is what a new or changed row must fulfil where that differs from what may be read. `narrowed` is what must hold
    besides for a narrowed token; None = it reads nothing here.
    """

    table: str
    tenant: str = ""
    operator: str = ""
    auth: str = ""
    tenant_rule: str | None = None
    tenant_check: str | None = None
    narrowed: str | None = None


_registry: dict[str, TableRights] = {}


def owned_by(column: str = "tenant_id") -> str:
    """The usual rule: the row's tenant is one of the actor's."""
    return f"{column} = ANY({TENANT_LIST})"


def register_table(
    table: str,
    *,
    tenant: str = "",
    operator: str = "",
    auth: str = "",
    tenant_rule: str | None = None,
    tenant_check: str | None = None,
    narrowed: str | None = None,
) -> None:
    """Declare the rights (comma-separated SQL privileges) of the roles on `table`; a narrowed token's role has the tenant's."""
    _registry[table] = TableRights(table, tenant, operator, auth, tenant_rule, tenant_check, narrowed)


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
        # Statement lines are copied through a temporary table.
        cursor.execute(f"GRANT TEMPORARY ON DATABASE {database} TO flexgate_operator")
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {EVERYBODY}")
        cursor.execute("GRANT SELECT ON django_migrations TO flexgate")  # readiness compares it with the code
        for statement in statements:
            cursor.execute(statement)
        cursor.execute(f"COMMENT ON TABLE tenants_tenant IS '{digest}'")
    return True


def _statements_for(rights: TableRights) -> list[str]:
    table = f'"{rights.table}"'
    statements = [f"REVOKE ALL ON {table} FROM {EVERYBODY}"]
    granted = {
        "flexgate_tenant": rights.tenant,
        "flexgate_narrowed": rights.tenant,
        "flexgate_operator": rights.operator,
        "flexgate_auth": rights.auth,
    }
    statements += [f"GRANT {privileges} ON {table} TO {role}" for role, privileges in granted.items() if privileges]
    if rights.tenant_rule is None:
        return statements
    check = rights.tenant_check or rights.tenant_rule
    # One policy per role: a shared "everything OR mine" policy loses the index, and so does "whole tenant OR what is named". The owner
    # needs one too, or pg_dump and data migrations silently see nothing under FORCE.
    rules = {
        "flexgate_owner": ("true", "true"),
        "flexgate_operator": ("true", "true"),
        "flexgate_auth": ("true", "true") if rights.auth else ("false", "false"),
        "flexgate_tenant": (rights.tenant_rule, check),
        "flexgate_narrowed": (
            f"{rights.tenant_rule} AND ({rights.narrowed or 'false'})",
            f"{check} AND ({rights.narrowed or 'true'})",
        ),
    }
    statements += [f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"]
    for role, (rule, checked) in rules.items():
        statements.append(f"DROP POLICY IF EXISTS {role}_rows ON {table}")
        statements.append(f"CREATE POLICY {role}_rows ON {table} TO {role} USING ({rule}) WITH CHECK ({checked})")
    return statements
