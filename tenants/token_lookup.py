"""The statement that every request begins with: a token by its id, with all that decides whether it is let in.

Written by hand, because building the same statement through the ORM took longer than PostgreSQL takes to answer it.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import Model

from tenants import clock
from tenants.actors import AUTHENTICATOR
from tenants.context import ask_as
from tenants.models import Tenant, Token

Row = TypeVar("Row", bound=Model)
FIND = """
    SELECT EXISTS (
            SELECT 1 FROM tenants_token ancestor WHERE ancestor.id = ANY(token.ancestors)
              AND (ancestor.revoked_at IS NOT NULL OR ancestor.expires_at <= %s)
        ),
        CASE WHEN token.narrowed
            THEN ARRAY(SELECT reach.kind || ':' || reach.key FROM tenants_tokenreach reach WHERE reach.token_id = token.id)
            ELSE ARRAY[]::text[] END,
        {token}, {tenant}
    FROM tenants_token token LEFT JOIN tenants_tenant tenant ON tenant.id = token.tenant_id
    WHERE token.id = %s
"""


def look_up_token(token_id: UUID) -> Token | None:
    """The token with its tenant; `orphaned` = an ancestor has ended, `reach_names` = what a narrowed one reaches. One statement."""
    found = ask_as(AUTHENTICATOR, _statement(), [clock.now(), token_id])
    if not found:
        return None
    orphaned, names, *columns = found[0]
    width = len(_fields(Token))
    token = _instance(Token, columns[:width])
    token.orphaned, token.reach_names = orphaned, names  # type: ignore[attr-defined]
    token.tenant = None if token.tenant_id is None else _instance(Tenant, columns[width:])
    return token


@cache
def _statement() -> str:
    return FIND.format(token=_columns(Token, "token"), tenant=_columns(Tenant, "tenant"))


def _columns(model: type[Model], table: str) -> str:
    return ", ".join(f'{table}."{column}"' for _, column, _ in _fields(model))


@cache
def _fields(model: type[Model]) -> tuple[tuple[str, str, Callable[..., Any] | None], ...]:
    """(attribute, column, how its value is read) of every field."""
    return tuple(
        (field.attname, str(field.column), getattr(field, "from_db_value", None))
        for field in model._meta.concrete_fields
    )


def _instance(model: type[Row], values: Sequence[Any]) -> Row:
    fields = _fields(model)
    read = [
        value if convert is None else convert(value, None, connection)
        for value, (_, _, convert) in zip(values, fields, strict=True)
    ]
    return model.from_db(connection.alias, [name for name, _, _ in fields], read)
