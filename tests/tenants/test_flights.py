"""Statements in one round trip: what they give, what of them stands when one fails, and a connection that is fit for the next."""

import datetime
import time
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from psycopg.pq import PipelineStatus
from psycopg.types.json import Jsonb

from tenants import flights
from tenants.flights import Step, fly, what_is_known
from tenants.prepared import run_together
from tenants.rows import Statement
from tests.databases import OwnDatabase

TABLE = "CREATE TEMPORARY TABLE noted (number integer PRIMARY KEY, text text, CHECK (number < 100))"
LATE = "ALTER TABLE noted ADD CONSTRAINT one_of_each UNIQUE (text) DEFERRABLE INITIALLY DEFERRED"
NOTE = "INSERT INTO noted VALUES (%s, %s)"
COUNT = Statement("SELECT count(*) FROM noted WHERE number > %s", [0])


@pytest.fixture(params=[True, False], ids=["prepared", "planned anew"])
def table(request: pytest.FixtureRequest, own_database: OwnDatabase, settings: Any) -> None:
    settings.FLEXGATE_PREPARED_STATEMENTS = request.param
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
        cursor.execute(LATE)


def run(*statements: Statement) -> list[list[Any]]:
    return list(run_together([("flexgate", statement) for statement in statements], by_key=True))


def note(number: int, text: str | None = None) -> Statement:
    return Statement(NOTE, [number, text])


def noted() -> int:
    assert connection.connection is None or connection.connection.pgconn.pipeline_status == PipelineStatus.OFF
    with connection.cursor() as cursor:  # and as every other statement of Django's
        cursor.execute(COUNT.text, COUNT.values)
        (number,) = cursor.fetchone()
    return int(number)


def test_each_gives_its_rows_and_all_of_them_are_one_transaction(table: None) -> None:
    for start in (1, 10):  # the second time they are prepared
        before = noted()
        found = run(note(start), COUNT, note(start + 1), COUNT)
        assert found == [[], [(before + 1,)], [], [(before + 2,)]]
    assert connection.connection.info.transaction_status.name == "IDLE"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (note(1), IntegrityError),
        (note(100), IntegrityError),
        (Statement("SELECT 1 / %s::integer", [0]), DatabaseError),
        (Statement("SELECT nothing FROM noted WHERE number = %s", [1]), DatabaseError),
        (Statement("INSERT INTO noted VALUES (%s, %s)", ["no number", ""]), DatabaseError),
    ],
)
def test_where_one_fails_nothing_stands_and_the_next_is_as_ever(table: None, wrong: Statement, error: Any) -> None:
    run(note(1))
    for number in (2, 3):
        with pytest.raises(error):
            run(note(number), wrong, note(number + 10))
        assert noted() == 1
        assert run(COUNT) == [[(1,)]]


def test_a_constraint_that_is_looked_at_in_the_end_fails_it_too(table: None) -> None:
    with pytest.raises(IntegrityError, match="one_of_each"):
        run(note(1, "same"), note(2, "same"))
    assert noted() == 0


def test_inside_a_transaction_it_is_part_of_that(table: None) -> None:
    with transaction.atomic():
        run(note(1))  # the first statement of all
        transaction.set_rollback(True)
    assert noted() == 0
    with transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic():
            run(note(2), note(2))
        run(note(3))
    assert run(Statement("SELECT number FROM noted WHERE number > %s", [0])) == [[(3,)]]


VALUES: list[tuple[str, Any]] = [
    ("text", 'it\'s \\ 100 % "quoted" %s $1 ä'),
    ("text", "x" * 3_000_000),
    ("text", None),
    ("bytea", bytes(range(256))),
    ("bigint", 2**62),
    ("numeric", Decimal("12345678901234567890.123456789")),
    ("boolean", False),
    ("date", datetime.date(2026, 11, 30)),
    ("timestamptz", datetime.datetime(2026, 11, 30, 23, 59, 59, 999999, tzinfo=datetime.UTC)),
    ("uuid", uuid.UUID(int=7)),
    ("uuid[]", [uuid.UUID(int=7), uuid.UUID(int=8)]),
    ("text[]", []),
    ("text[]", ["a,b", 'c"d', "{e}", "NULL", ""]),
    ("integer[]", [1, 2]),
]


@pytest.mark.parametrize("prepared", [True, False])
def test_values_come_back_as_they_went(own_database: OwnDatabase, settings: Any, prepared: bool) -> None:
    settings.FLEXGATE_PREPARED_STATEMENTS = prepared
    for kind, value in VALUES:
        [[(back,)]] = run(Statement(f"SELECT %s::{kind}", [value]))
        assert back == value, kind
    [[(back,)]] = run(Statement("SELECT %s::jsonb->>'a'", [Jsonb({"a": "'\"\\%s"})]))
    assert back == "'\"\\%s"
    with transaction.atomic():
        for impossible in ("NUL \x00 inside", object()):
            with pytest.raises(DatabaseError):
                run(Statement("SELECT %s::integer", [1]), Statement("SELECT %s::text", [impossible]))
        assert run(Statement("SELECT %s::text", ["well"])) == [[("well",)]]


def test_a_value_never_stands_in_a_statements_text(table: None) -> None:
    with CaptureQueriesContext(connection) as asked:
        run(note(1, "a secret"))
    assert len(asked) == 1
    assert "a secret" not in asked[0]["sql"]


def test_a_connection_that_ends_under_way_is_replaced_and_nothing_stands(own_database: OwnDatabase) -> None:
    end = Statement("SELECT pg_terminate_backend(pg_backend_pid()) WHERE %s", [True])
    for _ in range(2):
        with pytest.raises(OperationalError):
            run(end)
        assert run(Statement("SELECT %s::integer", [1])) == [[(1,)]]
    one = Statement("SELECT %s::integer", [1])
    for statements in ((end, one), (one, end)):
        with pytest.raises(OperationalError):
            run(*statements)
        assert connection.connection is None
    assert run(Statement("SELECT %s::integer", [1])) == [[(1,)]]


def test_who_is_interrupted_while_it_waits_leaves_no_connection_half_read(
    own_database: OwnDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = what_is_known()
    before = connection.connection

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(flights, "_receive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fly([Step(b"SELECT pg_sleep(0.2)")], known)
    monkeypatch.undo()
    assert before.closed
    connections.close_all()
    assert run(Statement("SELECT %s::integer", [1])) == [[(1,)]]


def test_a_large_value_arrives_and_waiting_costs_no_cpu(own_database: OwnDatabase) -> None:
    """More than a socket holds at once."""
    started = time.thread_time()
    found = run(Statement("SELECT length(%s::text)", ["x" * 30_000_000]), Statement("SELECT pg_sleep(%s)", [3]))
    assert found[0] == [(30_000_000,)]
    assert time.thread_time() - started < 1.5


def test_what_was_prepared_with_one_that_failed_is_known(table: None) -> None:
    with pytest.raises(DatabaseError):
        run(Statement("SELECT %s::integer", [1]), Statement("SELECT 1 / %s::integer", [0]))
    with transaction.atomic():  # here it could not be healed by another connection
        assert run(Statement("SELECT %s::integer", [2])) == [[(2,)]]


def test_a_value_that_can_not_be_written_down_breaks_nothing(own_database: OwnDatabase) -> None:
    with pytest.raises(UnicodeEncodeError):
        run(Statement("SELECT %s::text", ["a\ud800b"]))
    assert run(Statement("SELECT %s::text", ["well"])) == [[("well",)]]
