"""The triggers themselves, asked through the gateway's roles: every right is given first, so that no missing grant answers for them."""

from datetime import date

import pytest
from django.db import DatabaseError, connection, connections, transaction

from billing.models import Statement, StatementLine
from billing.statements import issue_statements
from tenants.context import acting_as
from tests.billing.test_frozen import ATTEMPTS
from tests.billing.test_golden_month import live_august
from tests.databases import OwnDatabase
from tests.gateway.ledger.scenes import noon_of, pull
from tests.people import SETUP, People, make_people

SAID = r"is frozen|are frozen|is never emptied|begins as a draft"


@pytest.fixture
def issued(own_database: OwnDatabase) -> People:
    """A billed month, and every right on the documents for every role of the gateway."""
    people = make_people()
    world, *_ = live_august(people)
    with noon_of(date(2026, 9, 4)):
        pull(world)
        issue_statements(SETUP, month="2026-08")
    with connections["owner"].cursor() as cursor:
        cursor.execute("GRANT ALL ON billing_statement, billing_statementline TO flexgate_operator, flexgate_tenant")
    return people


@pytest.mark.parametrize("what", ATTEMPTS)
@pytest.mark.parametrize("role", ["operator", "tenant"])
def test_the_trigger_refuses_with_every_right_given(issued: People, role: str, what: str) -> None:
    actor = SETUP if role == "operator" else issued.acme.actor
    with acting_as(actor):
        before = list(Statement.objects.values()) + list(StatementLine.objects.values())
        assert before
        with pytest.raises(DatabaseError, match=SAID), transaction.atomic():
            ATTEMPTS[what]()
        assert list(Statement.objects.values()) + list(StatementLine.objects.values()) == before


def test_a_draft_that_can_not_be_read_takes_no_line(issued: People) -> None:
    """Fail closed: row-level security hides the draft from globex, and what is not seen to be a draft is frozen."""
    with acting_as(SETUP):
        statement = Statement.objects.get(number="ACME-2026-0001")
        line = StatementLine.objects.filter(statement=statement).first()
        assert line is not None
        statement.pk, statement.number, statement.status, statement._state.adding = (
            line.pk,
            "ACME-2026-0099",
            "draft",
            True,
        )
        statement.period_from, statement.period_to = date(2026, 7, 1), date(2026, 7, 31)
        with transaction.atomic():
            statement.save(force_insert=True)
            line.pk, line.statement, line.position = People.tenant("acme").id, statement, 99
            line.save(force_insert=True)  # who sees the draft may
            line.pk, line.tenant, line.position = People.tenant("globex").id, People.tenant("globex"), 98
            with acting_as(issued.globex.actor), pytest.raises(DatabaseError, match="are frozen"), transaction.atomic():
                line.save(force_insert=True)
            transaction.set_rollback(True)


def test_the_owner_is_refused_as_well(issued: People) -> None:
    for sql in (
        "UPDATE billing_statement SET total = 0",
        "DELETE FROM billing_statementline",
        "TRUNCATE billing_statementline",
    ):
        with connections["owner"].cursor() as cursor, pytest.raises(DatabaseError, match=SAID):
            cursor.execute(sql)
    assert connection.alias == "default"
