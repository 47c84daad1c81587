"""Statements that PostgreSQL reads and plans once per connection and only runs from then on: for a small one that is most of what it costs.

By PREPARE and EXECUTE, so that what is sent together is one round trip all the same. A pooler that hands out another connection for every
transaction (PgBouncer) can't do that: before one, FLEXGATE_PREPARED_STATEMENTS is switched off, and everything is read and planned anew.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db import DatabaseError, connection
from psycopg.errors import DuplicatePreparedStatement, FeatureNotSupported, InvalidSqlStatementName
from psycopg.pq import TransactionStatus

from tenants.rows import Statement, render

# What is prepared here is looked up by a key: its plan does not hang on the values, and finding that out would take PostgreSQL five plans.
PLAN_ONCE = "SET LOCAL plan_cache_mode = force_generic_plan"
# A process that is stopped between the two round trips must not hold rows that everybody waits for.
BEGIN = ("BEGIN", "SET LOCAL idle_in_transaction_session_timeout = '15s'")
FORGOTTEN = (DuplicatePreparedStatement, FeatureNotSupported, InvalidSqlStatementName)
IN_FAILED_TRANSACTION = "25P02"
Part = tuple[str, Statement]
_numbers = count(1)
_prepared: "WeakKeyDictionary[Any, set[str]]" = WeakKeyDictionary()


def run_together(parts: Sequence[Part], *, by_key: bool) -> list[list[Any]]:
    """The rows that each statement gave, all run in one round trip, which outside of a transaction is one. With each, the role it is run as:
    plans hang on that.

    `by_key` = all of them find what they are about by a key, so one plan is right for all values.
    """
    try:
        return _run(parts, by_key=by_key)
    except DatabaseError as error:
        if connection.in_atomic_block:
            raise
        if isinstance(error.__cause__, FORGOTTEN):
            connection.close()  # nothing was done; a new one knows nothing, and we know that
            return _run(parts, by_key=by_key)
        _leave_if_lost()
        raise


class WholeTransaction:
    """A transaction of its own in two round trips, apart from Django's: begun with the first, ended with the second."""

    def run(self, parts: Sequence[Part]) -> list[list[Any]]:
        """Begin, and the rows that each statement gave."""
        try:
            return _run(parts, by_key=True, begin=True)
        except DatabaseError as error:
            if not isinstance(error.__cause__, FORGOTTEN):
                raise
            connection.close()
            return _run(parts, by_key=True, begin=True)

    def commit(self, parts: Sequence[Part]) -> None:
        _run(parts, by_key=True, commit=True)


@contextmanager
def whole_transaction() -> Iterator[WholeTransaction]:
    """Rolled back unless `commit` came to its end. Outside of every other transaction."""
    try:
        yield WholeTransaction()
    finally:
        driver = connection.connection
        if driver is not None and driver.info.transaction_status != TransactionStatus.IDLE:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("ROLLBACK")
            except DatabaseError:
                connection.close()


def _run(parts: Sequence[Part], *, by_key: bool, begin: bool = False, commit: bool = False) -> list[list[Any]]:
    first, last = list(BEGIN) if begin else [], ["COMMIT"] if commit else []
    if not (by_key and settings.FLEXGATE_PREPARED_STATEMENTS):
        return _rows_of(
            [*first, *([render(part for _, part in parts)] if parts else []), *last], len(first), len(parts)
        )
    connection.ensure_connection()
    known = _prepared.setdefault(connection.connection, set())
    names = [_name_of(part.text, role) for role, part in parts]
    new = {name: part.text for name, (_, part) in zip(names, parts, strict=True) if name not in known}
    # All that is new in front: it stays prepared, whatever becomes of the rest.
    before = [*(f"PREPARE {name} AS {_numbered(text)}" for name, text in new.items()), *first, PLAN_ONCE]
    runs = [
        Statement(f"EXECUTE {name}{_places(len(part.values))}", part.values)
        for name, (_, part) in zip(names, parts, strict=True)
    ]
    try:
        found = _rows_of([*before, *([render(runs)] if runs else []), *last], len(before), len(runs))
    except DatabaseError as error:
        state = getattr(error.__cause__, "sqlstate", None)
        if isinstance(error.__cause__, FORGOTTEN):
            connection.close_at = 0  # where it can't be replaced now, it is after this transaction
        elif state is not None and state != IN_FAILED_TRANSACTION:
            known.update(new)
        raise
    known.update(new)
    return found


def _rows_of(statements: Sequence[str], skip: int, number: int) -> list[list[Any]]:
    found = []
    with connection.cursor() as cursor:
        cursor.execute("; ".join(statements))
        for _ in range(skip):
            cursor.nextset()
        for _ in range(number):
            found.append(list(cursor.fetchall()) if cursor.rownumber is not None else [])
            cursor.nextset()
    return found


def _leave_if_lost() -> None:
    """Django closes a dead connection with the transaction that fails on it; here is none."""
    if connection.connection is not None and connection.connection.closed:
        connection.close()


@cache
def _name_of(text: str, role: str) -> str:
    return f"{role}_{next(_numbers)}"


@cache
def _numbered(text: str) -> str:
    pieces = text.split("%s")
    return "".join(piece if index == 0 else f"${index}{piece}" for index, piece in enumerate(pieces))


@cache
def _places(number: int) -> str:
    return f"({', '.join(['%s'] * number)})" if number else ""
