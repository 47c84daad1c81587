"""The statement that every request begins with: a token by its id, with all that decides whether it is let in."""

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

from tenants import clock
from tenants.actors import AUTHENTICATOR
from tenants.context import Question, ask_together
from tenants.models import Tenant, Token
from tenants.rows import columns_of, instance_of, width_of

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
    return read_token(ask_together(looking_up(token_id), by_key=True)[0])


def looking_up(token_id: UUID) -> Question:
    """What `look_up_token` asks, to be asked together with something else; `read_token` reads what came of it."""
    return Question(AUTHENTICATOR, _statement(), [clock.now(), token_id])


def read_token(found: Sequence[Sequence[Any]]) -> Token | None:
    if not found:
        return None
    orphaned, names, *columns = found[0]
    width = width_of(Token)
    token = instance_of(Token, columns[:width])
    token.orphaned, token.reach_names = orphaned, names  # type: ignore[attr-defined]
    token.tenant = None if token.tenant_id is None else instance_of(Tenant, columns[width:])
    return token


@cache
def _statement() -> str:
    return FIND.format(token=columns_of(Token, "token"), tenant=columns_of(Tenant, "tenant"))
