"""The wall in PostgreSQL: every table is looked at in the catalogue, and each wall is taken away in turn to see the others hold."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, ProgrammingError, connection, connections, transaction

from gateway.models import Assignment, Config, Entitlement, LedgerEntry, Operation
from tenants.actors import Actor
from tenants.api.base import ApiView
from tenants.context import acting_as
from tenants.models import AuditEntry, Event, Tenant, Token, TokenReach, UsedKey
from tenants.rls import registered_tables
from tests.isolation.scene import Scene, text_of
from tests.people import People

OURS = {"tenants", "gateway", "billing"}
ROLES = ("flexgate", "flexgate_tenant", "flexgate_narrowed", "flexgate_operator", "flexgate_auth")
# Every tenant table that a tenant's role reads, with the serial or config column that narrows it.
MODELS = (Tenant, Token, TokenReach, UsedKey, AuditEntry, Event, Entitlement, Assignment, Operation, LedgerEntry)


def ask(sql: str, *parameters: Any) -> list[Any]:
    """As the owner: the catalogue and the grants are everybody's to read, rows are not."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def test_every_table_that_names_a_tenant_is_walled_and_indexed(scene: Scene) -> None:
    """From PostgreSQL's own catalogue, so that a table made by hand counts too."""
    tables = ask(
        """
        SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relispartition, c.oid::int
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname
        """
    )
    assert len(tables) > 20
    for name, enabled, forced, partition, oid in tables:
        if partition:  # reached through its parent alone: nobody has a right on it
            granted = (
                "SELECT count(*) FROM information_schema.role_table_grants WHERE table_name = %s AND grantee = ANY(%s)"
            )
            assert ask(granted, name, list(ROLES)) == [(0,)], name
            continue
        assert (enabled, forced) == (True, True), name
        policies = ask(
            "SELECT roles::text, cmd, qual IS NOT NULL, with_check IS NOT NULL FROM pg_policies WHERE tablename = %s",
            name,
        )
        assert sorted(policies) == [
            ("{flexgate_auth}", "ALL", True, True),
            ("{flexgate_narrowed}", "ALL", True, True),
            ("{flexgate_operator}", "ALL", True, True),
            ("{flexgate_owner}", "ALL", True, True),
            ("{flexgate_tenant}", "ALL", True, True),
        ], name
        seen = ask("SELECT qual FROM pg_policies WHERE tablename = %s AND roles = '{flexgate_tenant}'", name)
        if seen == [("false",)]:
            continue  # no tenant looks there
        leading = ask(
            """
            SELECT count(*) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = %s AND a.attname = 'tenant_id'
            """,
            oid,
        )
        assert leading[0][0] > 0, f"{name} has no index that leads with the tenant"


def test_every_model_has_declared_rights_and_no_more_than_those(scene: Scene) -> None:
    declared = registered_tables()
    missing = {model._meta.db_table for model in apps.get_models() if model._meta.app_label in OURS} - declared.keys()
    assert missing == set()
    granted = ask(
        "SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = 'flexgate_tenant'"
    )
    whole = {(name, kind) for name, kind in granted}
    wanted = {
        (right.table, privilege)
        for right in declared.values()
        for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE")
        if privilege in [part.strip() for part in right.tenant.split(",")]
    }
    assert whole == wanted
    assert not any(kind in {"DELETE", "TRUNCATE", "TRIGGER", "REFERENCES"} for _, kind in whole)


def test_the_login_role_owns_nothing_may_nothing_and_is_nobody_special(scene: Scene) -> None:
    standing = (
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolinherit FROM pg_roles WHERE rolname = 'flexgate'"
    )
    assert ask(standing) == [(False,) * 5]
    assert ask(
        "SELECT count(*) FROM pg_class WHERE relpersistence <> 't' AND relowner = ANY(%s::regrole[])", list(ROLES)
    ) == [(0,)]
    for model in MODELS:
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            model.objects.first()


@pytest.fixture
def no_querysets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queryset wall is gone: `visible_to` gives everything, and so does the hand-written SQL's list of tenants."""
    for model in (*MODELS, Config):
        queryset = type(model.objects.all())
        if hasattr(queryset, "visible_to"):
            hidden = ("secret_hash", "pepper") if model is Token else ()  # columns that the role can't read at all
            monkeypatch.setattr(queryset, "visible_to", lambda self, actor, hidden=hidden: self.defer(*hidden))


@pytest.fixture
def no_scopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall of scopes is gone: everybody may call everything."""
    monkeypatch.setattr(ApiView, "check_permissions", lambda self, request: None)


@pytest.fixture
def no_policies(scene: Scene) -> Iterator[None]:
    """The wall in the database is gone: row-level security is off, as the owner might leave it by mistake."""
    tables = [right.table for right in registered_tables().values() if right.tenant_rule is not None]
    with connections["owner"].cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
    yield
    with connections["owner"].cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


LISTS = (
    "entitlements",
    "configs",
    "operations",
    "audit",
    "events",
    "tenants",
    "statements",
    "consumption?from=2026-08-01&to=2026-08-31",
)


def reads_nothing_of_acmes(scene: Scene, who: str) -> None:
    for path in LISTS:
        answer = scene.ask(who, "GET", path)
        assert answer.status_code == 200, (path, answer.content)
        text = text_of(answer)
        assert [mark for mark in scene.marks if mark in text] == [], path
    for path in ("entitlements/{serial}", "configs/{config}", "operations/{operation}", "tenants/acme/tokens/{token}"):
        assert scene.ask(who, "GET", path.format(**scene.ids)).status_code == 404, path
    stop = scene.ask(who, "POST", f"entitlements/{scene.ids['serial']}/stop")
    patch = scene.ask(who, "PATCH", f"entitlements/{scene.ids['serial']}", {"labels": {"mine": "now"}})
    assert (stop.status_code, patch.status_code) == (404, 404)


def test_without_querysets_the_database_still_holds(scene: Scene, no_querysets: None) -> None:
    assert scene.ask("owner", "GET", f"entitlements/{scene.ids['serial']}").status_code == 200
    reads_nothing_of_acmes(scene, "other")


def test_without_the_database_the_querysets_still_hold(scene: Scene, no_policies: None) -> None:
    assert scene.ask("owner", "GET", f"entitlements/{scene.ids['serial']}").status_code == 200
    reads_nothing_of_acmes(scene, "other")


def test_without_scopes_the_other_two_still_hold(scene: Scene, no_scopes: None) -> None:
    reads_nothing_of_acmes(scene, "other")
    listed = scene.ask("wrong_scope", "GET", "entitlements")
    assert listed.status_code == 200, "the wall of scopes is really away"


def test_with_both_lower_walls_away_the_detector_sees_it(scene: Scene, no_policies: None, no_querysets: None) -> None:
    """A detector that can't fail is none."""
    with pytest.raises(AssertionError):
        reads_nothing_of_acmes(scene, "other")


def test_a_narrowed_token_is_narrowed_in_the_database_too(scene: Scene, no_querysets: None) -> None:
    actor = scene.who["narrowed"].actor
    with acting_as(actor):
        assert set(Entitlement.objects.values_list("serial_number", flat=True)) == {scene.ids["named"]}
        assert set(Assignment.objects.values_list("serial_number", flat=True)) == {scene.ids["named"]}
        assert set(LedgerEntry.objects.values_list("serial_number", flat=True)) == {scene.ids["named"]}
        assert (AuditEntry.objects.count(), Event.objects.count(), UsedKey.objects.count()) == (0, 0, 0)
        assert list(Token.objects.defer("secret_hash", "pepper")) == [scene.who["narrowed"].row]
    assert scene.ask("narrowed", "GET", f"entitlements/{scene.ids['serial']}").status_code == 404
    assert scene.ask("narrowed", "GET", f"entitlements/{scene.ids['named']}").status_code == 200


WRITES = {
    "another tenant's label": "UPDATE gateway_entitlement SET labels = '{}' WHERE serial_number = %(serial)s",
    "its own tenant's name": "UPDATE tenants_tenant SET name = 'x'",
    "a token's scopes": "UPDATE tenants_token SET scopes = '{entitlements:write}'",
    "a token's hash": "SELECT secret_hash FROM tenants_token",
    "a stop of what is not its own": "INSERT INTO gateway_operation SELECT (jsonb_populate_record(o, jsonb_build_object("
    "'id', gen_random_uuid(), 'tenant_id', %(tenant)s::text, 'idempotency_key', null, 'kind', 'stop', "
    "'serial_numbers', jsonb_build_array(%(serial)s::text)))).* FROM gateway_operation o LIMIT 1",
    "an audit entry of another tenant": "INSERT INTO tenants_auditentry (id, at, tenant_id, actor, address, action, subject_type, "
    "subject_key, request_id) VALUES (gen_random_uuid(), now(), %(foreign)s, 'x', '', 'x', 'x', 'x', '')",
    "a key of another tenant": "INSERT INTO tenants_usedkey (id, tenant_id, key, fingerprint, subject_type, subject_key, created_at) "
    "VALUES (gen_random_uuid(), %(foreign)s, 'x', '', 'token', 'x', now())",
    "where a key leads": "UPDATE tenants_usedkey SET subject_key = 'x'",
    "a key before its time": "DELETE FROM tenants_usedkey",
    "a place in the feed": "INSERT INTO tenants_eventposition VALUES (gen_random_uuid(), 1, 1, %(tenant)s)",
    "the queue of the sealer": "DELETE FROM tenants_unsealed",
    "somebody's session": "SELECT * FROM django_session",
    "a password": "SELECT password_encrypted FROM gateway_apiuser",
    "prices": "SELECT * FROM billing_rate",
}


@pytest.mark.parametrize("what", WRITES)
def test_sql_of_its_own_choice_gets_a_tenants_role_nowhere(scene: Scene, what: str) -> None:
    """Inside `acting_as`, as an injection or a forgotten filter would."""
    globex = People.tenant("globex")
    values = {"serial": scene.ids["serial"], "tenant": globex.id, "foreign": People.tenant("acme").id}
    with acting_as(scene.who["other"].actor), connection.cursor() as cursor:
        try:
            with transaction.atomic():
                cursor.execute(WRITES[what], values)
                touched = cursor.rowcount
        except DatabaseError as error:
            touched, said = 0, str(error)
            assert any(reason in said for reason in ("permission denied", "row-level security")), said
    assert touched == 0


def test_a_temporary_table_never_stands_before_one_of_ours(scene: Scene) -> None:
    with acting_as(scene.who["other"].actor), connection.cursor() as cursor, transaction.atomic():
        cursor.execute("CREATE TEMPORARY TABLE tenants_tenant (id uuid) ON COMMIT DROP")
        assert set(Tenant.objects.values_list("slug", flat=True)) == {"globex"}
        transaction.set_rollback(True)


def test_a_reach_is_its_own_tenants_alone(scene: Scene) -> None:
    """Row-level security checks the tenant that a row names; the pair of token and tenant must exist as well."""
    narrowed, globex = scene.who["narrowed"].row, People.tenant("globex")
    assert narrowed is not None
    with acting_as(scene.who["other"].actor), transaction.atomic():
        TokenReach.objects.create(token_id=narrowed.id, tenant=globex, kind="entitlement", key="WIDER00001")
        with pytest.raises(DatabaseError, match="reach_is_of_its_tokens_tenant"), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        transaction.set_rollback(True)


def test_nothing_is_carried_over_on_a_kept_connection(scene: Scene) -> None:
    """One backend serves acme, fails, and serves globex next."""
    with acting_as(scene.who["owner"].actor):
        first = ask_backend()
    with pytest.raises(ProgrammingError), acting_as(scene.who["owner"].actor), connection.cursor() as cursor:
        cursor.execute("SELECT no_such_column FROM tenants_token")
    assert standing() in {("none", ""), ("flexgate", "")}
    with acting_as(scene.who["other"].actor):
        assert ask_backend() == first
        assert set(Entitlement.objects.values_list("tenant__slug", flat=True)) == {"globex"}
    nobody = Actor(kind=scene.who["other"].actor.kind, name="nobody")
    with acting_as(nobody):
        assert Entitlement.objects.count() == 0


def ask_backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def standing() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('role'), coalesce(current_setting('flexgate.tenants', true), '')")
        role, tenants = cursor.fetchone()
        return str(role), str(tenants)
