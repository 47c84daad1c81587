"""Rows read and written by hand-made statements: building one through the ORM takes longer than PostgreSQL takes to answer it.

Only for the few paths that every request or every write goes down. Names, order and conversion of the columns are the models' own.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import groupby, islice
from typing import Any, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import ForeignKey, Model
from django.db.models.base import ModelState
from psycopg.adapt import Transformer

from tenants.written import Way, prepare_values, way_of

Row = TypeVar("Row", bound=Model)
AT_ONCE = 1000


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
    constants, made = _defaults(model)
    attributes, state = {**constants, **given}, ModelState()
    for name, default in made:
        if name not in given:
            attributes[name] = default()
    if len(attributes) != len(constants) + len(made):
        for name in given.keys() - {*constants, *(name for name, _ in made)}:
            related, value = _related(model).get(name), attributes.pop(name)
            if related is None:
                raise TypeError(f"{model.__name__} has no field {name!r}.")
            attribute, target = related
            if value is not None:
                attributes[attribute], state.db = getattr(value, target), DEFAULT_DB_ALIAS
            state.fields_cache[name] = value
    return _stand_in(model, attributes, state)


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


def all_of(conditions: Sequence[Statement]) -> Statement:
    """One expression of several: true if each is."""
    text = " AND ".join(f"({condition.text})" for condition in conditions)
    return Statement(text, [value for condition in conditions for value in condition.values])


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
    values = prepare_values(row, _written(type(row)), database, adding=True)
    row._state.adding, row._state.db = False, database.alias
    return values


def change_of(row: Model, *names: str) -> Statement:
    """What writes these attributes of a row that stands in the database."""
    statement, ways = _update(type(row), names)
    return Statement(statement, [*prepare_values(row, ways, connections[DEFAULT_DB_ALIAS], adding=False), row.pk])


@cache
def _update(model: type[Model], names: Sequence[str]) -> tuple[str, list[Way]]:
    fields = [field for field in model._meta.concrete_fields if {field.name, field.attname} & set(names)]
    changed = ", ".join(f'"{field.column}" = %s' for field in fields)
    key = model._meta.pk.column
    return f'UPDATE "{model._meta.db_table}" SET {changed} WHERE "{key}" = %s', [way_of(field) for field in fields]  # noqa: S608 - names from the models


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
def _written(model: type[Model]) -> tuple[Way, ...]:
    """All but a key that the database counts up."""
    return tuple(way_of(field) for field in model._meta.concrete_fields if not field.db_returning)


@cache
def _defaults(model: type[Model]) -> tuple[Mapping[str, Any], Sequence[tuple[str, Callable[[], Any]]]]:
    """Defaults that are the same for every row, and those that are made for each."""
    constants, made = dict[str, Any](), list[tuple[str, Callable[[], Any]]]()
    for field in model._meta.concrete_fields:
        value = None if callable(field.default) else field.get_default()
        if callable(field.default) or not isinstance(value, str | int | Decimal | None):
            made.append((field.attname, field.get_default))
        else:
            constants[field.attname] = value
    return constants, made


@cache
def _related(model: type[Model]) -> Mapping[str, tuple[str, str]]:
    """By name of a related row: the attribute that names it, and which one of its own that is."""
    fields = [field for field in model._meta.concrete_fields if isinstance(field, ForeignKey)]
    return {field.name: (field.attname, field.target_field.attname) for field in fields}


@cache
def _fields(model: type[Model]) -> tuple[tuple[str, str, Callable[..., Any] | None], ...]:
    """(attribute, column, how its value is read) of every field."""
    return tuple(
        (field.attname, str(field.column), getattr(field, "from_db_value", None))
        for field in model._meta.concrete_fields
    )
