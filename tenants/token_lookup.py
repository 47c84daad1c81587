"""The statements that requests begin with: a token by its id, with all that decides whether it is let in; or whether all that still stands."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from tenants import clock
from tenants.actors import AUTHENTICATOR
from tenants.context import Question, ask_together
from tenants.models import Tenant, Token
from tenants.rate_limits import TAKE_IF, Rate, values_of
from tenants.rows import Statement, columns_of, instance_of, width_of

IS_ORPHANED = """EXISTS (
        SELECT 1 FROM tenants_token ancestor WHERE ancestor.id = ANY(token.ancestors)
          AND (ancestor.revoked_at IS NOT NULL OR ancestor.expires_at <= %s)
    )"""
# The versions tell a row that was written since from one that was not.
VERSIONS = "ARRAY[token.xmin::text, tenant.xmin::text]"
FIND = """
    SELECT {is_orphaned}, {versions},
        CASE WHEN token.narrowed
            THEN ARRAY(SELECT reach.kind || ':' || reach.key FROM tenants_tokenreach reach WHERE reach.token_id = token.id)
            ELSE ARRAY[]::text[] END,
        {token}, {tenant}
    FROM tenants_token token LEFT JOIN tenants_tenant tenant ON tenant.id = token.tenant_id
    WHERE token.id = %s
"""
# As `rate_limits.TAKE`, with a mark left behind for every rate that had room. Where the token stands otherwise by now, none is used up.
CONFIRM = TAKE_IF.format(
    f"""EXISTS (
        SELECT 1 FROM tenants_token token JOIN tenants_tenant tenant ON tenant.id = token.tenant_id
        WHERE token.id = %s AND {VERSIONS} = %s::text[] AND NOT {IS_ORPHANED}
            AND token.revoked_at IS NULL AND coalesce(token.expires_at > %s, true) AND tenant.status = 'active'
    )"""  # noqa: S608 - constants
)
CONFIRM += ", set_config('flexgate.taken', coalesce(current_setting('flexgate.taken', true), '') || '.', true)"
CONFIRMED = "coalesce(current_setting('flexgate.taken', true), '') = %s"


def look_up_token(token_id: UUID) -> Token | None:
    """The token with its tenant; `orphaned` = an ancestor has ended, `reach_names` = what a narrowed one reaches, `versions` = of the
    two rows. One statement.
    """
    return read_token(ask_together(looking_up(token_id), by_key=True)[0])


def looking_up(token_id: UUID) -> Question:
    """What `look_up_token` asks, to be asked together with something else; `read_token` reads what came of it."""
    return Question(AUTHENTICATOR, _statement(), [clock.now(), token_id])


def read_token(found: Sequence[Sequence[Any]]) -> Token | None:
    if not found:
        return None
    orphaned, versions, names, *columns = found[0]
    width = width_of(Token)
    token = instance_of(Token, columns[:width])
    token.orphaned, token.versions, token.reach_names = orphaned, versions, names  # type: ignore[attr-defined]
    token.tenant = None if token.tenant_id is None else instance_of(Tenant, columns[width:])
    return token


def confirmation_of(token: Token, rates: Sequence[Rate]) -> tuple[Callable[[], Statement], Statement]:
    """What counts one request against `rates` if `token` stands as `read_token` gave it and has not run out by then; and the expression that
    says, behind it, whether it does and every rate had room. The first gives rows as `rate_limits.taking` does: none where it does not stand.
    """
    keys, costs, window = values_of(rates)

    def ask() -> Statement:
        now = clock.now()
        return Statement(CONFIRM, [keys, costs, token.id, token.versions, now, now, window])  # type: ignore[attr-defined]

    return ask, Statement(CONFIRMED, ["." * len(rates)])


@cache
def _statement() -> str:
    return FIND.format(
        is_orphaned=IS_ORPHANED,
        versions=VERSIONS,
        token=columns_of(Token, "token"),
        tenant=columns_of(Tenant, "tenant"),
    )
