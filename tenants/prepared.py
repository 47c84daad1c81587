"""Statements that PostgreSQL reads and plans once per connection and only runs from then on: for a small one that is most of what it costs.

A pooler that hands out another connection for every transaction (PgBouncer) can't do that: before one, FLEXGATE_PREPARED_STATEMENTS is
switched off, and everything is read and planned anew.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db import DatabaseError, connection
from psycopg.errors import DuplicatePreparedStatement, FeatureNotSupported, InvalidSqlStatementName
from psycopg.pq import TransactionStatus

from tenants.flights import Flight, Step
from tenants.rows import Statement, render

BEGIN, COMMIT = Step(b"BEGIN"), Step(b"COMMIT")
FORGOTTEN = (DuplicatePreparedStatement, FeatureNotSupported, InvalidSqlStatementName)
Part = tuple[str, Statement]
_numbers = count(1)
_prepared: "WeakKeyDictionary[Any, set[bytes]]" = WeakKeyDictionary()


def run_together(parts: Sequence[Part], *, by_key: bool) -> list[list[Any]]:
    """The rows that each statement gave, all run in one round trip, which outside of a transaction is one. With each, the role it is run as:
    plans hang on that.

    `by_key` = all of them find what they are about by a key, so one plan is right for all values.
    """
    try:
        return _unless_forgotten(lambda: _take_off(parts).land()) if by_key else _run_as_text(parts)
    except Exception:
        if not connection.in_atomic_block:
            _leave_if_lost()
        raise


class WholeTransaction:
    """A transaction of its own in two round trips, apart from Django's: begun with the first, ended with the second."""

    def __init__(self) -> None:
        self._parts: Sequence[Part] = ()
        self._flight: Flight | None = None

    def begin(self, parts: Sequence[Part]) -> None:
        """Send them off. Whatever does not ask the database may be done until they land."""
        self._parts, self._flight = parts, _take_off([BEGIN, *parts])

    def land(self) -> list[list[Any]]:
        """The rows that each statement gave."""
        return _unless_forgotten(self._land)[1:]

    def commit(self, parts: Sequence[Part]) -> bool:
        """False, and nothing is done, where PostgreSQL has forgotten a statement meanwhile."""
        try:
            _take_off([*parts, COMMIT]).land()
        except DatabaseError as error:
            if not isinstance(error.__cause__, FORGOTTEN):
                raise
            connection.close()
            return False
        return True

    def end(self) -> None:
        """Nothing stays open, and what was not committed is undone."""
        if self._flight is not None:
            self._flight.give_up()
        driver = connection.connection
        if driver is not None and driver.info.transaction_status != TransactionStatus.IDLE:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("ROLLBACK")
            except DatabaseError:
                connection.close()

    def _land(self) -> list[list[Any]]:
        flight, self._flight = self._flight or _take_off([BEGIN, *self._parts]), None
        return flight.land()


@contextmanager
def whole_transaction() -> Iterator[WholeTransaction]:
    """Rolled back unless `commit` came to its end. Outside of every other transaction."""
    whole = WholeTransaction()
    try:
        yield whole
    finally:
        whole.end()


def _unless_forgotten(fly: Callable[[], list[list[Any]]]) -> list[list[Any]]:
    """Once more where PostgreSQL knows a statement no longer: nothing was done then, and a new connection knows nothing, as we know."""
    try:
        return fly()
    except DatabaseError as error:
        if not isinstance(error.__cause__, FORGOTTEN):
            raise
        if connection.in_atomic_block:
            connection.close_at = 0  # where it can't be replaced now, it is after this transaction
            raise
        connection.close()
        return fly()


def _take_off(parts: Sequence[Part | Step]) -> Flight:
    connection.close_if_health_check_failed()  # as Django's cursors do; tenants.connections says how often that is
    connection.ensure_connection()
    known, new = _prepared.setdefault(connection.connection, set()), set[bytes]()
    steps = list[Step]()
    for part in parts:
        if isinstance(part, Step):
            steps.append(part)
            continue
        role, statement = part
        text, name = _numbered(statement.text), b""
        if settings.FLEXGATE_PREPARED_STATEMENTS:
            name = _name_of(statement.text, role)
        steps.append(Step(text, statement.values, name, new=bool(name) and name not in known and name not in new))
        new.add(name)
    return Flight(steps, known)


def _run_as_text(parts: Sequence[Part]) -> list[list[Any]]:
    found = []
    with connection.cursor() as cursor:
        cursor.execute(render(part for _, part in parts))
        for _ in parts:
            found.append(list(cursor.fetchall()) if cursor.rownumber is not None else [])
            cursor.nextset()
    return found


def _leave_if_lost() -> None:
    """Django closes a dead connection with the transaction that fails on it; here is none."""
    if connection.connection is not None and connection.connection.closed:
        connection.close()


@cache
def _name_of(text: str, role: str) -> bytes:
    return f"{role}_{next(_numbers)}".encode()


@cache
def _numbered(text: str) -> bytes:
    pieces = text.split("%s")
    return "".join(piece if index == 0 else f"${index}{piece}" for index, piece in enumerate(pieces)).encode()
