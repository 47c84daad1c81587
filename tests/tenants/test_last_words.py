"""What is written when a context ends, what is written only if something holds, and statements that PostgreSQL plans once."""

import threading
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import DataError, ProgrammingError, connection, connections, transaction

from tenants.actors import system
from tenants.audit import AuditNote, record_audit, record_audits
from tenants.context import Question, acting_as, ask_as, ask_together, write_if
from tenants.last_words import write_last
from tenants.models import AuditEntry, Tenant
from tenants.prepared import run_together
from tenants.rows import AT_ONCE, Statement, change_of
from tests.databases import OwnDatabase
from tests.people import SETUP, People, make_people

RENAME = "UPDATE tenants_tenant SET name = %s WHERE slug = %s"
LOCK = "SELECT name FROM tenants_tenant WHERE slug = %s FOR UPDATE"
IS_CALLED = "EXISTS (SELECT 1 FROM tenants_tenant WHERE slug = %s AND name = %s)"


def note(action: str) -> None:
    record_audit(SETUP, action, subject_type="test", subject_key=action, tenant_id=None)


def note_and_fail(action: str, context: AbstractContextManager[None]) -> None:
    with context:
        note(action)
        raise ZeroDivisionError


def noted() -> list[str]:
    with acting_as(SETUP):
        return list(AuditEntry.objects.filter(subject_type="test").order_by("id").values_list("action", flat=True))


@pytest.fixture(params=[True, False], ids=["prepared", "planned anew"])
def crowd(request: pytest.FixtureRequest, own_database: OwnDatabase, settings: Any) -> People:
    settings.FLEXGATE_PREPARED_STATEMENTS = request.param
    return make_people()


def test_words_are_said_when_the_context_ends_and_not_before(people: People) -> None:
    with acting_as(SETUP):
        note("first")
        assert not AuditEntry.objects.filter(action="first").exists()
        with acting_as(system("other")):  # the same standing: it says them with the outer one
            note("second")
        assert not AuditEntry.objects.filter(action="second").exists()
        with acting_as(people.acme.actor):  # another standing: whoever wrote them says them
            record_audit(
                people.acme.actor, "third", subject_type="test", subject_key="", tenant_id=People.tenant("acme").id
            )
        assert AuditEntry.objects.filter(action="third").exists()
    assert set(noted()) == {"first", "second", "third"}


def test_what_is_rolled_back_says_nothing(people: People) -> None:
    with pytest.raises(ZeroDivisionError):
        note_and_fail("lost", acting_as(SETUP))
    with acting_as(SETUP):
        note("kept")
        with pytest.raises(ZeroDivisionError):
            note_and_fail("lost inside", acting_as(system("inner")))
        with pytest.raises(ZeroDivisionError):
            note_and_fail("lost in a savepoint of its own", transaction.atomic())
        with acting_as(system("inner")):
            note("given up")
            transaction.set_rollback(True)
        with transaction.atomic():
            note("kept in a savepoint")
    assert noted() == ["kept", "kept in a savepoint"]


def test_more_rows_than_go_at_once_are_all_written_in_their_order(people: People) -> None:
    names = [f"n{number:05}" for number in range(2 * AT_ONCE + 1)]
    with acting_as(SETUP):
        record_audits(SETUP, [AuditNote(name, name, None) for name in names], subject_type="test")
    assert noted() == names


def write_name(name: str, *, if_called: str) -> list[list[object]] | None:
    return write_if(
        SETUP,
        locks=[Statement(LOCK, ["acme"])],
        holds=Statement(IS_CALLED, ["globex", if_called]),
        words=[
            Statement(RENAME, [name, "acme"]),
            AuditEntry(actor="x", action=f"with {name}", subject_type="test", subject_key="x"),
        ],
        besides=(SETUP, [AuditEntry(actor="x", action=f"besides {name}", subject_type="test", subject_key="x")]),
    )


def test_all_of_it_is_written_if_the_condition_holds_and_nothing_if_not(crowd: People) -> None:
    for _ in range(2):  # the second time everything is prepared
        assert write_name("Wrong", if_called="Somebody") is None
        assert People.tenant("acme").name == "Acme GmbH"
    assert noted() == []
    assert write_name("Renamed", if_called="Globex Corp") == [[("Acme GmbH",)]]
    assert write_name("Again", if_called="Globex Corp") == [[("Renamed",)]]
    assert People.tenant("acme").name == "Again"
    assert noted() == ["with Renamed", "besides Renamed", "with Again", "besides Again"]
    with acting_as(SETUP):
        assert write_name("Inside", if_called="Globex Corp") is None, "what locks it takes, it gives back by itself"


def test_a_row_that_is_locked_too_long_is_the_longer_ways_matter(crowd: People) -> None:
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with acting_as(SETUP):
            Tenant.objects.select_for_update().get(slug="acme")
            locked.set()
            done.wait(20)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait(20)
    impatient = Statement("SELECT set_config('lock_timeout', '50ms', true)", [])
    try:
        asked = [impatient, Statement(LOCK, ["acme"])]
        assert write_if(SETUP, locks=asked, holds=Statement("true", []), words=[]) is None
    finally:
        done.set()
        holder.join()
    assert write_if(SETUP, locks=asked, holds=Statement("true", []), words=[]) == [[("50ms",)], [("Acme GmbH",)]]


def test_a_plan_made_as_one_never_serves_another(crowd: People) -> None:
    slugs = "SELECT slug FROM tenants_tenant WHERE slug <> %s ORDER BY slug"
    for _ in range(3):
        assert ask_as(crowd.acme.actor, slugs, ["x"], by_key=True) == [("acme",)]
        assert ask_as(SETUP, slugs, ["x"], by_key=True) == [("acme",), ("globex",)]
        assert ask_as(crowd.globex.actor, slugs, ["acme"], by_key=True) == [("globex",)]
        both = ask_together(Question(crowd.globex.actor, slugs, ["x"]), Question(SETUP, slugs, ["globex"]), by_key=True)
        assert both == [[("globex",)], [("acme",)]]
    with pytest.raises(ProgrammingError, match="permission denied"):
        Tenant.objects.count()


def test_a_connection_that_has_forgotten_what_was_prepared_is_replaced(own_database: OwnDatabase) -> None:
    people = make_people()
    asked = [people.acme.actor, "SELECT slug FROM tenants_tenant WHERE slug <> %s", ["x"]]
    assert ask_as(*asked, by_key=True) == [("acme",)]
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    assert ask_as(*asked, by_key=True) == [("acme",)]
    assert connection.connection.autocommit


def test_what_was_found_once_holds_for_no_later_transaction(crowd: People) -> None:
    assert write_name("First", if_called="Globex Corp")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('flexgate.holds', true)")
        assert cursor.fetchone() == ("",)


def test_a_text_that_is_too_long_is_refused_and_not_cut(crowd: People) -> None:
    entry = AuditEntry(actor="x" * 1000, action="long", subject_type="test", subject_key="x")
    with pytest.raises(DataError, match="too long"):
        write_if(SETUP, locks=[], holds=Statement("true", []), words=[entry])
    assert noted() == []


def test_what_was_forgotten_is_prepared_anew(crowd: People) -> None:
    assert write_name("First", if_called="Globex Corp")
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    assert write_name("Second", if_called="Globex Corp")
    assert People.tenant("acme").name == "Second"


def test_a_statement_that_is_wrong_says_so_each_time(own_database: OwnDatabase) -> None:
    make_people()
    for _ in range(2):
        with pytest.raises(ProgrammingError, match="does not exist"):
            run_together([("none", Statement("SELECT * FROM no_such_table WHERE id = %s", [1]))], by_key=True)


def test_named_fields_alone_are_written(people: People) -> None:
    with acting_as(SETUP):
        row = Tenant.objects.get(slug="acme")
        row.name, row.currency = "New", "USD"
        write_last([change_of(row, "name")])
    fresh = People.tenant("acme")
    assert (fresh.name, fresh.currency) == ("New", "EUR")
