"""Statements that PostgreSQL reads and plans once per connection and only runs from then on: for a small one that is most of what it costs.

A pooler that hands out another connection for every transaction (PgBouncer) can't do that: before one, FLEXGATE_PREPARED_STATEMENTS is
switched off, and everything is read and planned anew.
"""

from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from psycopg.errors import DuplicatePreparedStatement, FeatureNotSupported, InvalidSqlStatementName

from tenants.flights import Step, fly, what_is_known
from tenants.rows import Statement, render

FORGOTTEN = (DuplicatePreparedStatement, FeatureNotSupported, InvalidSqlStatementName)
Part = tuple[str, Statement]
_numbers = count(1)


def run_together(parts: Sequence[Part], *, by_key: bool) -> Sequence[list[Any]]:
    """The rows that each statement gave, all run in one round trip, which outside of a transaction is one. With each, the role it is run as:
    plans hang on that.

    `by_key` = all of them find what they are about by a key, so one plan is right for all values.
    """
    try:
        return _run_prepared(parts) if by_key else _run_as_text(parts)
    except Exception:
        if not connection.in_atomic_block:
            _leave_if_lost()
        raise


def _run_prepared(parts: Sequence[Part]) -> Sequence[list[Any]]:
    """Once more where PostgreSQL knows a statement no longer: nothing was done then, and a new connection knows nothing, as we know."""
    try:
        return _run_as_known(parts)
    except DatabaseError as error:
        if not isinstance(error.__cause__, FORGOTTEN):
            raise
        if connection.in_atomic_block:
            connection.close_at = 0  # where it can't be replaced now, it is after this transaction
            raise
        connection.close()
        return _run_as_known(parts)


def _run_as_known(parts: Sequence[Part]) -> Sequence[list[Any]]:
    known = what_is_known()
    steps, new, named = list[Step](), set[bytes](), settings.FLEXGATE_PREPARED_STATEMENTS
    for role, statement in parts:
        text, name = _numbered(statement.text), _name_of(statement.text, role) if named else b""
        is_new = bool(name) and name not in known.names and name not in new
        if is_new:
            new.add(name)
        steps.append(Step(text, statement.values, name, new=is_new))
    return fly(steps, known)


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
