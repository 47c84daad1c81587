"""Statements that PostgreSQL reads and plans once per connection and only runs from then on: for a small one that is most of what it costs.

By PREPARE and EXECUTE, so that what is sent together is one round trip all the same. A pooler that hands out another connection for every
transaction (PgBouncer) can't do that: before one, FLEXGATE_PREPARED_STATEMENTS is switched off, and everything is read and planned anew.
"""

from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db import DatabaseError, connection
from psycopg.errors import DuplicatePreparedStatement, FeatureNotSupported, InvalidSqlStatementName

from tenants.rows import Statement, render

# What is prepared here is looked up by a key: its plan does not hang on the values, and finding that out would take PostgreSQL five plans.
PLAN_ONCE = "SET LOCAL plan_cache_mode = force_generic_plan"
FORGOTTEN = (DuplicatePreparedStatement, FeatureNotSupported, InvalidSqlStatementName)
_numbers = count(1)
_prepared: "WeakKeyDictionary[Any, set[str]]" = WeakKeyDictionary()


def run_together(parts: Sequence[tuple[str, Statement]], *, by_key: bool) -> list[list[Any]]:
    """The rows that each statement gave, all run in one round trip. With each, the role it is run as: plans hang on that.

    `by_key` = all of them find what they are about by a key, so one plan is right for all values.
    """
    if by_key and settings.FLEXGATE_PREPARED_STATEMENTS:
        return _run_prepared(parts)
    return _rows_of(render(part for _, part in parts), skip=0, number=len(parts))


def _run_prepared(parts: Sequence[tuple[str, Statement]]) -> list[list[Any]]:
    connection.ensure_connection()
    known = _prepared.setdefault(connection.connection, set())
    names = [_name_of(part.text, role) for role, part in parts]
    new = {name: part.text for name, (_, part) in zip(names, parts, strict=True) if name not in known}
    # All that is new in front: it stays prepared, whatever becomes of the rest.
    before = [f"PREPARE {name} AS {_numbered(text)}" for name, text in new.items()] + [PLAN_ONCE]
    runs = [
        Statement(f"EXECUTE {name}{_places(len(part.values))}", part.values)
        for name, (_, part) in zip(names, parts, strict=True)
    ]
    try:
        found = _rows_of(f"{'; '.join(before)}; {render(runs)}", skip=len(before), number=len(runs))
    except DatabaseError as error:
        if isinstance(error.__cause__, FORGOTTEN) and not connection.in_atomic_block:
            connection.close()  # nothing was done; a new one knows nothing, and we know that
            return _run_prepared(parts)
        known.update(new)
        raise
    known.update(new)
    return found


def _rows_of(text: str, *, skip: int, number: int) -> list[list[Any]]:
    found = []
    with connection.cursor() as cursor:
        cursor.execute(text)
        for _ in range(skip):
            cursor.nextset()
        for _ in range(number):
            found.append(list(cursor.fetchall()) if cursor.rownumber is not None else [])
            cursor.nextset()
    return found


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
