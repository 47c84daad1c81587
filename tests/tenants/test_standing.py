"""The second wall: PostgreSQL itself, for the role that the gateway really has."""

import pytest
from django.apps import apps
from django.db import DataError, ProgrammingError, connection, transaction

from gateway.models import Assignment, Operation
from tenants.actors import AUTHENTICATOR, Actor, system
from tenants.context import acting_as, ask_as
from tenants.models import AuditEntry, Tenant, Token
from tenants.rls import registered_tables
from tests.databases import OwnDatabase
from tests.people import SETUP, People, make_people
from tests.worlds import SandboxWorld


def test_the_gateway_owns_nothing_and_sees_nothing_without_standing(people: People) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, usesuper FROM pg_user WHERE usename = current_user")
        assert cursor.fetchone() == ("flexgate", False)
        cursor.execute("SELECT count(*) FROM pg_class WHERE relowner = 'flexgate'::regrole")
        assert cursor.fetchone() == (0,)
    for model in (Tenant, Token, Operation):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            list(model.objects.all())


def test_a_tenants_standing_reads_and_writes_its_own_rows_alone(people: People, world: SandboxWorld) -> None:
    """No queryset wall here: every row is asked for, and PostgreSQL gives only the tenant's own."""
    serial = world.sandbox.create_vm(world.config_id)[0]
    world.sync()
    people.operator.post("assignments", {"serials": [serial], "tenant": "acme", "from_day": "2026-01-01"})
    with acting_as(people.acme.actor):
        assert Assignment.objects.count() == 1
        assert set(Tenant.objects.values_list("slug", flat=True)) == {"acme"}
    with acting_as(people.globex.actor):
        assert Assignment.objects.count() == 0
        assert set(Token.objects.values_list("tenant__slug", flat=True)) == {"globex"}
        assert Assignment.objects.update(labels={"x": "y"}) == 0
        foreign = AuditEntry(
            tenant_id=People.tenant("acme").id, actor="x", action="x", subject_type="x", subject_key="x"
        )
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            foreign.save(force_insert=True)


def test_nesting_restores_what_stood_before(people: People) -> None:
    with acting_as(people.acme.actor):
        assert Tenant.objects.count() == 1
        with acting_as(system("inner")):
            assert Tenant.objects.count() == 2
        assert Tenant.objects.count() == 1
        with pytest.raises(ZeroDivisionError), acting_as(system("inner")):
            raise ZeroDivisionError
        assert Tenant.objects.count() == 1
    with pytest.raises(ProgrammingError), transaction.atomic():
        Tenant.objects.count()


SLUGS = "SELECT slug FROM tenants_tenant WHERE slug <> %s ORDER BY slug"


def test_one_statement_in_one_round_trip_leaves_what_stood_before(people: People) -> None:
    with acting_as(people.acme.actor):
        assert ask_as(system("inner"), SLUGS, ["nobody"]) == [("acme",), ("globex",)]
        assert list(Tenant.objects.values_list("slug", flat=True)) == ["acme"]
    assert ask_as(people.globex.actor, SLUGS, ["nobody"]) == [("globex",)]
    with pytest.raises(ProgrammingError), transaction.atomic():
        Tenant.objects.count()


def test_one_statement_outside_any_transaction_ends_its_standing_with_itself(own_database: OwnDatabase) -> None:
    people = make_people()
    setting = "SELECT current_user::text, current_setting('flexgate.tenants', true)"
    for statement in (SLUGS, "SELECT 1 / 0 WHERE %s <> ''"):
        if statement == SLUGS:
            assert ask_as(people.acme.actor, statement, ["nobody"]) == [("acme",)]
        else:
            with pytest.raises(DataError):
                ask_as(people.acme.actor, statement, ["nobody"])
        assert not connection.in_atomic_block
        with connection.cursor() as cursor:
            cursor.execute(setting)
            assert cursor.fetchone() in {("flexgate", ""), ("flexgate", None)}
        with pytest.raises(ProgrammingError, match="permission denied"):
            Tenant.objects.count()
    changed = (
        "UPDATE tenants_tenant SET name = %s RETURNING 1 / (SELECT count(*) FROM tenants_tenant WHERE slug = 'no such')"
    )
    with pytest.raises(DataError):
        ask_as(SETUP, changed, ["changed"])
    assert ask_as(SETUP, "SELECT count(*) FROM tenants_tenant WHERE name = %s", ["changed"]) == [(0,)]


def test_an_actor_without_tenants_sees_no_row(people: People) -> None:
    nobody = Actor(kind=people.acme.actor.kind, name="nobody")
    with acting_as(nobody):
        assert Tenant.objects.count() == 0


def test_the_authenticator_reads_tokens_and_nothing_else(people: People) -> None:
    with acting_as(AUTHENTICATOR):
        assert Token.objects.count() == 4
        with pytest.raises(ProgrammingError), transaction.atomic():
            Operation.objects.count()
        with pytest.raises(ProgrammingError), transaction.atomic():
            Token.objects.update(name="x")


def test_audit_can_not_be_rewritten(people: People) -> None:
    with acting_as(SETUP):
        assert AuditEntry.objects.count() > 0
        with pytest.raises(ProgrammingError), transaction.atomic():
            AuditEntry.objects.update(actor="somebody else")
        with pytest.raises(ProgrammingError), transaction.atomic():
            connection.cursor().execute("DELETE FROM tenants_auditentry")


def test_every_table_with_a_tenant_is_walled(people: People) -> None:
    """Operator-only tables have no right for the tenant's role at all; every other one has forced row-level security."""
    rights = registered_tables()
    for model in apps.get_models():
        if model._meta.app_label not in {"tenants", "gateway", "billing"}:
            continue
        table = model._meta.db_table
        assert table in rights, f"{table} has no declared rights"
        has_tenant = any(field.column == "tenant_id" for field in model._meta.concrete_fields)
        if not has_tenant or not rights[table].tenant:
            continue
        with connection.cursor() as cursor:
            cursor.execute("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = %s", [table])
            assert cursor.fetchone() == (True, True), table
            cursor.execute("SELECT count(*) FROM pg_policies WHERE tablename = %s AND with_check IS NOT NULL", [table])
            assert cursor.fetchone() == (5,), table
