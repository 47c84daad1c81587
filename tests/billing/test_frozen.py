"""Issued means frozen: the database itself refuses, whoever asks, and when it can't see."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from billing.exports.csv_files import safe_text
from billing.models import Statement, StatementLine
from billing.statements import issue_statements
from tenants.context import acting_as
from tests.billing.test_golden_month import live_august
from tests.gateway.ledger.scenes import noon_of, pull
from tests.people import SETUP, People


@pytest.fixture
def issued(people: People) -> People:
    world, *_ = live_august(people)
    with noon_of(date(2026, 9, 4)):
        pull(world)
        issue_statements(SETUP, month="2026-08")
    return people


def insert_line() -> None:
    line = StatementLine.objects.first()
    assert line is not None
    line.pk, line.position = None, 99
    line.save(force_insert=True)


ATTEMPTS: dict[str, Callable[[], Any]] = {
    "change a total": lambda: Statement.objects.update(total=0),
    "thaw": lambda: Statement.objects.update(status="draft"),
    "add a line": insert_line,
    "change a line": lambda: connection.cursor().execute("UPDATE billing_statementline SET amount = 0"),
    "remove a line": lambda: connection.cursor().execute("DELETE FROM billing_statementline"),
    "remove a document": lambda: connection.cursor().execute("DELETE FROM billing_statement"),
    "empty the table": lambda: connection.cursor().execute("TRUNCATE billing_statementline"),
}


@pytest.mark.parametrize("what", ATTEMPTS)
def test_an_issued_document_can_not_be_touched_by_the_gateways_role(issued: People, what: str) -> None:
    with acting_as(SETUP):
        before = list(Statement.objects.values()) + list(StatementLine.objects.values())
        with pytest.raises(DatabaseError), transaction.atomic():
            ATTEMPTS[what]()
        assert list(Statement.objects.values()) + list(StatementLine.objects.values()) == before


def test_a_line_for_a_document_that_can_not_be_read_is_refused(issued: People) -> None:
    """The trigger must see a draft; as a stranger it sees nothing, and that is a no."""
    with acting_as(issued.acme.actor):
        line = StatementLine.objects.first()
    assert line is not None
    line.pk, line.position = None, 98
    with acting_as(issued.globex.actor), pytest.raises(DatabaseError), transaction.atomic():
        line.save(force_insert=True)


def test_the_triggers_stand_on_the_table_whoever_owns_it(issued: People) -> None:
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'billing_statement'::regclass ORDER BY 1"
        )
        assert [row[0] for row in cursor.fetchall()] == ["issued_means_frozen", "statements_are_never_emptied"]


def test_export_writes_the_same_bytes_twice(issued: People, tmp_path: Path) -> None:
    for name in ("one", "two"):
        call_command("export_statements", month="2026-08", format="csv", out=tmp_path / name)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two
    assert sorted(one) == ["ACME-2026-0001.csv", "GLOBEX-2026-0001.csv", "lines.csv", "manifest.json", "statements.csv"]
    rows = one["lines.csv"].decode().split("\r\n")
    assert rows[0].startswith(
        "number,line,kind,serial_number,product,description,quantity,unit,days,points,unit_price,amount"
    )
    assert len(rows) == 1 + 5 + 1
    served = issued.acme.get("statements/ACME-2026-0001/csv")
    assert served.content == one["ACME-2026-0001.csv"]


def test_an_unknown_format_or_month_is_refused(issued: People, tmp_path: Path) -> None:
    for month, wanted in (("2026-08", "xls"), ("2026-08", "pdf"), ("2026-13", "csv"), ("2026-07", "csv")):
        with pytest.raises(CommandError):
            call_command("export_statements", month=month, format=wanted, out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_verify_says_that_all_holds(issued: People, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("verify_statements")
    assert capsys.readouterr().out == "2 statements: every hash, chain and sum holds.\n"


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@x", "\tx"])
def test_a_text_never_becomes_a_formula(text: str) -> None:
    assert safe_text(text) == f"'{text}"
    assert safe_text("branch = office") == "branch = office"


def test_evidence_names_the_answer_behind_every_day(issued: People) -> None:
    statement = issued.acme.get("statements/ACME-2026-0001").json()
    line = statement["lines"][0]
    rows = issued.acme.get(f"statements/ACME-2026-0001/lines/{line['id']}/evidence").json()["results"]
    assert [row["day"] for row in rows][:2] == ["2026-08-01", "2026-08-02"]
    assert {row["points"] for row in rows} == {"6.3900"}
    assert issued.globex.get(f"statements/ACME-2026-0001/lines/{line['id']}/evidence").json()["code"] == "not_found"


def test_a_temporary_table_of_the_same_name_thaws_nothing(issued: People) -> None:
    with acting_as(SETUP), connection.cursor() as cursor:
        statement = Statement.objects.order_by("number").first()
        assert statement is not None
        cursor.execute("CREATE TEMPORARY TABLE billing_statement (id uuid, status text) ON COMMIT DROP")
        cursor.execute("INSERT INTO pg_temp.billing_statement VALUES (%s, 'draft')", [statement.id])
        with pytest.raises(DatabaseError, match="frozen"), transaction.atomic():
            insert_line()
        cursor.execute("DROP TABLE pg_temp.billing_statement")
