"""How values are written for PostgreSQL: what is usual by hand, without asking field and driver, which takes far longer; all else by them.

As text, which PostgreSQL reads by the type of the place where it goes.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateField, DateTimeField, Field, ForeignKey, Model
from psycopg.adapt import PyFormat

from tenants.jsonfields import ExactJSONField, json_text

JSON = frozenset({dict, list})
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
# An attribute, the types that its field changes in nothing, the field.
Way = tuple[str, frozenset[type], "Field[Any, Any]"]


def write_values(values: Sequence[Any], adapters: Any) -> list[bytes | None]:
    """Each as text. `adapters` = psycopg's of the connection; its errors for what can't be written."""
    written = list[bytes | None]()
    for value in values:
        write = _WAYS.get(type(value))
        text = _PSYCOPGS if write is None else write(value)
        written += adapters.dump_sequence([value], _TEXT) if text is _PSYCOPGS else [text]
    return written


def prepare_values(row: Model, ways: Sequence[Way], database: BaseDatabaseWrapper, *, adding: bool) -> list[Any]:
    """As the fields convert them; most values have the type that PostgreSQL takes already, and to ask the field takes ten times as long."""
    values, attributes = [], row.__dict__
    for name, as_they_are, field in ways:
        value = attributes[name] if name in attributes else getattr(row, name)
        kind = type(value)
        if kind in JSON and isinstance(field, ExactJSONField):
            value = json_text(value)
        elif kind not in as_they_are:
            value = field.get_db_prep_save(field.pre_save(row, adding), database)
        values.append(value)
    return values


def way_of(field: "Field[Any, Any]") -> Way:
    target = field
    while isinstance(target, ForeignKey):
        target = target.target_field
    own = type(None) if isinstance(target, ExactJSONField) else AS_THEY_ARE.get(target.get_internal_type())
    if own is None or type(field).pre_save not in AS_IT_STANDS or _sets_itself(field):
        return field.attname, frozenset(), field
    return field.attname, frozenset({own, type(None)}), field


def _sets_itself(field: "Field[Any, Any]") -> bool:
    return isinstance(field, DateField) and (field.auto_now or field.auto_now_add)


_TEXT = [PyFormat.TEXT]
_PSYCOPGS: Any = object()  # "not mine"


def _write_text(value: str) -> bytes:
    return value.encode() if "\0" not in value else _PSYCOPGS


def _write_list(values: list[Any]) -> bytes:
    kinds = set(map(type, values))
    if kinds == {str}:
        text = '","'.join(values) if _is_plain(values) else '","'.join(_escape(value) for value in values)
        return f'{{"{text}"}}'.encode() if "\0" not in text else _PSYCOPGS
    if kinds == {UUID}:
        return f"{{{','.join(value.hex for value in values)}}}".encode()
    return _PSYCOPGS if kinds else b"{}"


def _is_plain(values: list[str]) -> bool:
    return not any('"' in value or "\\" in value for value in values)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


_WAYS: Mapping[type, Callable[[Any], bytes | None]] = {
    type(None): lambda value: None,
    bool: lambda value: b"t" if value else b"f",
    int: lambda value: b"%d" % value,
    str: _write_text,
    UUID: lambda value: value.hex.encode(),
    Decimal: lambda value: str(value).encode() if value.is_finite() else _PSYCOPGS,
    datetime: lambda value: str(value).encode(),
    date: lambda value: str(value).encode(),
    list: _write_list,
}
