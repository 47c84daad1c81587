"""Rows read and written by hand-made statements: building one through the ORM takes longer than PostgreSQL takes to answer it.

Only for the few paths that every request or every write goes down. Names, order and conversion of the columns are the models' own.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import groupby, islice
from typing import Any, TypeVar, cast
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateField, DateTimeField, Field, ForeignKey, Model
from django.db.models.base import ModelState
from psycopg.adapt import Transformer

Row = TypeVar("Row", bound=Model)
AT_ONCE = 1000
AS_IT_STANDS = {
    Field.pre_save,
    DateField.pre_save,
    DateTimeField.pre_save,
}  # but for auto_now, what the row holds is what is saved
AS_THEY_ARE: dict[str, type] = {
    "BigIntegerField": int,
    "BooleanField": bool,
    "CharField": str,
    "DateField": date,
    "DateTimeField": datetime,
    "DecimalField": Decimal,
    "IntegerField": int,
    "PositiveIntegerField": int,
    "PositiveSmallIntegerField": int,
    "SmallIntegerField": int,
    "TextField": str,
    "UUIDField": UUID,
}


@cache
def columns_of(model: type[Model], table: str) -> str:
    """All columns of `model` for a SELECT in which its table is called `table`, in the order that `instance_of` wants."""
    return ", ".join(f'{table}."{column}"' for _, column, _ in _fields(model))


@cache
def width_of(model: type[Model]) -> int:
    return len(_fields(model))


def instance_of(model: type[Row], values: Sequence[Any]) -> Row:
    """What `columns_of` selected, as an instance that stands in the database."""
    read = {
        name: value if convert is None else convert(value, None, connection)
        for value, (name, _, convert) in zip(values, _fields(model), strict=True)
    }
    state = ModelState()
    state.adding, state.db = False, DEFAULT_DB_ALIAS
    return _stand_in(model, read, state)


def copy_of(row: Row) -> Row:
    """Another instance of the same row, which may be changed without changing `row`; with the rows that were loaded with it."""
    state = ModelState()
    state.adding, state.db, state.fields_cache = row._state.adding, row._state.db, dict(row._state.fields_cache)
    return _stand_in(type(row), row.__dict__, state)


def new_row(model: type[Row], **given: Any) -> Row:
    """A row to be written, as the model's constructor makes it, from columns (`tenant_id`) or related rows (`tenant`)."""
    attributes = {name: given.pop(name) if name in given else default() for name, default in _defaults(model)}
    row = _stand_in(model, attributes, ModelState())
    for name, value in given.items():
        if name not in _related(model):
            raise TypeError(f"{model.__name__} has no field {name!r}.")
        setattr(row, name, value)
    return row


def _stand_in(model: type[Row], attributes: Mapping[str, Any], state: ModelState) -> Row:
    """A row of `model`. Without Django's constructor, which asks every field for its default and tells every listener (there are none)."""
    row = model.__new__(model)
    row.__dict__.update(attributes)
    row._state = state
    return row


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with %s for each of its values: a statement, or an expression that is put into one."""

    text: str
    values: Sequence[Any]


def write_together(words: Iterable[Model | Statement]) -> None:
    """Insert new rows and run statements in the order given, a thousand in one round trip; neighbours of one model in one statement.

    The rows' keys are made here and not by the database.
    """
    waiting = iter(words)
    while some := list(islice(waiting, AT_ONCE)):
        text = render(statements_of(some, rows_at_once=AT_ONCE))
        with connection.cursor() as cursor:
            cursor.execute(text)


def render(statements: Iterable[Statement]) -> str:
    """All of them with their values in place, by psycopg's own rules. It would look for the places itself, which takes longer than to fill them."""
    connection.ensure_connection()
    adapters, pieces = Transformer(connection.connection), list[str]()
    for statement in statements:
        text = statement.text.split("%s")
        pieces += ("; " if pieces else "", text[0])
        for value, after in zip(statement.values, text[1:], strict=True):
            pieces += ("NULL" if value is None else adapters.as_literal(value).decode(), after)
    return "".join(pieces)


def statements_of(words: Iterable[Model | Statement], *, rows_at_once: int = 10, only_if: str = "") -> list[Statement]:
    """What writes them: at most so many rows in one statement.

    `only_if` = an expression without values that each of them asks first; a statement of the caller's ends with its WHERE then.
    """
    statements = list[Statement]()
    database = connections[DEFAULT_DB_ALIAS]  # asked for once: behind `connection` stands a look-up for every thread
    for kind, group in groupby(words, key=type):
        if issubclass(kind, Statement):
            given = cast(Iterable[Statement], group)
            statements += [Statement(_asking(one.text, only_if), one.values) for one in given] if only_if else given
            continue
        rows = cast(Iterator[Model], group)
        while some := list(islice(rows, rows_at_once)):
            values = [value for row in some for value in _values_of(row, database)]
            statements.append(Statement(_insertion(type(some[0]), len(some), only_if), values))
    return statements


def _values_of(row: Model, database: BaseDatabaseWrapper) -> list[Any]:
    values = _prepared(row, _written(type(row)), database, adding=True)
    row._state.adding, row._state.db = False, database.alias
    return values


def _prepared(row: Model, ways: "Sequence[_Way]", database: BaseDatabaseWrapper, *, adding: bool) -> list[Any]:
    """As the fields convert them; most values have the type that PostgreSQL takes already, and to ask the field takes ten times as long."""
    values = []
    for name, as_they_are, field in ways:
        value = getattr(row, name)
        if type(value) not in as_they_are:
            value = field.get_db_prep_save(field.pre_save(row, adding), database)
        values.append(value)
    return values


_Way = tuple[str, frozenset[type], "Field[Any, Any]"]  # attribute, types that its field changes in nothing, the field


def _way_of(field: "Field[Any, Any]") -> _Way:
    target = field
    while isinstance(target, ForeignKey):
        target = target.target_field
    own = AS_THEY_ARE.get(target.get_internal_type())
    if own is None or type(field).pre_save not in AS_IT_STANDS or _sets_itself(field):
        return field.attname, frozenset(), field
    return field.attname, frozenset({own, type(None)}), field


def _sets_itself(field: "Field[Any, Any]") -> bool:
    return isinstance(field, DateField) and (field.auto_now or field.auto_now_add)


def change_of(row: Model, *names: str) -> Statement:
    """What writes these attributes of a row that stands in the database."""
    statement, ways = _update(type(row), names)
    return Statement(statement, [*_prepared(row, ways, connections[DEFAULT_DB_ALIAS], adding=False), row.pk])


@cache
def _update(model: type[Model], names: Sequence[str]) -> tuple[str, list[_Way]]:
    fields = [field for field in model._meta.concrete_fields if {field.name, field.attname} & set(names)]
    changed = ", ".join(f'"{field.column}" = %s' for field in fields)
    key = model._meta.pk.column
    return f'UPDATE "{model._meta.db_table}" SET {changed} WHERE "{key}" = %s', [_way_of(field) for field in fields]  # noqa: S608 - names from the models


@cache
def _insertion(model: type[Model], number: int, only_if: str) -> str:
    names = ", ".join(f'"{field.column}"' for _, _, field in _written(model))
    start = f'INSERT INTO "{model._meta.db_table}" ({names})'
    if not only_if:
        return f"{start} VALUES {_rows(['%s'] * len(_written(model)), number)}"
    # Values of a query have types of their own. Without their lengths: a cast would cut what the column refuses.
    types = [re.sub(r"\(.*?\)", "", str(field.db_type(connection))) for _, _, field in _written(model)]
    rows = _rows([f"%s::{kind}" for kind in types], number)
    return f"{start} SELECT * FROM (VALUES {rows}) AS new WHERE {only_if}"  # noqa: S608 - names from the models


def _rows(places: Sequence[str], number: int) -> str:
    return ", ".join([f"({', '.join(places)})"] * number)


@cache
def _asking(text: str, only_if: str) -> str:
    return f"{text} AND {only_if}"


@cache
def _written(model: type[Model]) -> tuple[_Way, ...]:
    """All but a key that the database counts up."""
    return tuple(_way_of(field) for field in model._meta.concrete_fields if not field.db_returning)


@cache
def _defaults(model: type[Model]) -> tuple[tuple[str, Callable[[], Any]], ...]:
    return tuple((field.attname, field.get_default) for field in model._meta.concrete_fields)


@cache
def _related(model: type[Model]) -> frozenset[str]:
    return frozenset(field.name for field in model._meta.concrete_fields if field.is_relation)


@cache
def _fields(model: type[Model]) -> tuple[tuple[str, str, Callable[..., Any] | None], ...]:
    """(attribute, column, how its value is read) of every field."""
    return tuple(
        (field.attname, str(field.column), getattr(field, "from_db_value", None))
        for field in model._meta.concrete_fields
    )
