"""Bring the database up to date: roles, migrations as the owner, then grants and row rules."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from tenants.rls import apply_grants

MIGRATION_LOCK = 7_019_333  # two starters at once: one migrates, the other waits and finds nothing to do
GROUP_ROLES = ("flexgate_tenant", "flexgate_narrowed", "flexgate_operator", "flexgate_auth")


class DatabaseNotPrepared(RuntimeError):
    """Says what to set or which SQL to run."""


def prepare_database(*, verbosity: int = 0) -> bool:
    """Migrate as the owner and apply grants; True if anything changed. Safe to repeat, and from several processes at once."""
    if "owner" not in settings.DATABASES:
        raise DatabaseNotPrepared(
            "DATABASE_OWNER_URL is not set: migrations run as the owner of the tables, the gateway as a role that owns nothing."
        )
    connection = connections["owner"]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            _require_roles(connection)
            executor = MigrationExecutor(connection)
            pending = bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
            if pending:
                call_command("migrate", database="owner", interactive=False, verbosity=verbosity)
            changed = apply_grants(connection)
            _refuse_powerful_login(cursor)
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
    finally:
        connection.close()
    return pending or changed


def _refuse_powerful_login(cursor: Any) -> None:
    """The gateway's login has no right of its own: one that inherits, or sees past row-level security, takes the wall away unnoticed."""
    login = settings.DATABASES["default"]["USER"]
    cursor.execute(
        "SELECT rolsuper OR rolbypassrls, has_table_privilege(rolname, 'tenants_token', 'SELECT') FROM pg_roles WHERE rolname = %s",
        [login],
    )
    powerful, inherits = cursor.fetchone() or (False, False)
    if powerful:
        raise DatabaseNotPrepared(
            f"The role {login} is a superuser or bypasses row-level security; use one that does not."
        )
    if inherits:
        groups = ", ".join(GROUP_ROLES)
        raise DatabaseNotPrepared(
            f"The role {login} inherits its groups' rights. As a superuser:\n"
            f"ALTER ROLE {login} NOINHERIT; REVOKE {groups} FROM {login}; GRANT {groups} TO {login};"
        )


def _require_roles(connection: object) -> None:
    """The group roles exist, and the gateway's login role may become each of them. Created here where the owner may."""
    login = settings.DATABASES["default"]["USER"]
    with connection.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [[*GROUP_ROLES, "flexgate", "flexgate_owner"]]
        )
        present = {row[0] for row in cursor.fetchall()}
        missing = [role for role in GROUP_ROLES if role not in present]
        cursor.execute(
            "SELECT count(*) FROM pg_roles WHERE rolname = ANY(%s) AND NOT pg_has_role(%s, oid, 'MEMBER')",
            [list(GROUP_ROLES), login],
        )
        if not missing and cursor.fetchone() == (0,):
            return
        cursor.execute("SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user")
        statements = [f"CREATE ROLE {role} NOLOGIN" for role in missing]
        statements.append(f"GRANT {', '.join(GROUP_ROLES)} TO {login}")
        if not cursor.fetchone()[0]:
            raise DatabaseNotPrepared(
                "The owner may not create roles. Run this as a superuser, then again:\n" + ";\n".join(statements) + ";"
            )
        for statement in statements:
            cursor.execute(statement)
