"""Around every access to tenant data: `acting_as(actor)`. The only caller of set_config.

The gateway's login role has no right on any table. Inside `acting_as` a short transaction carries the role and the tenant list,
so that row-level security narrows what even a forgotten filter can reach; outside it every query is refused by PostgreSQL.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connection, transaction

from tenants.actors import Actor, ActorKind

ROLE_BY_KIND = {
    ActorKind.OPERATOR: "flexgate_operator",
    ActorKind.SYSTEM: "flexgate_operator",
    ActorKind.TENANT: "flexgate_tenant",
    ActorKind.STAFF: "flexgate_tenant",
    ActorKind.AUTHENTICATOR: "flexgate_auth",
}
NARROWED = "flexgate_narrowed"  # a narrowed token's role: the tenant's rights, on fewer rows
Standing = tuple[str, str, str, str, str]  # role, tenants, serials, configs, token
NOBODY: Standing = ("none", "", "", "", "")
# pg_temp last: a temporary table must never stand before one of ours.
BECOME = """SELECT set_config('role', %s, true), set_config('flexgate.tenants', %s, true),
    set_config('flexgate.serials', %s, true), set_config('flexgate.configs', %s, true), set_config('flexgate.token', %s, true),
    set_config('search_path', 'public, pg_temp', true)"""

_standing: ContextVar[Standing | None] = ContextVar("flexgate_standing", default=None)
_address: ContextVar[str] = ContextVar("flexgate_address", default="")
_request_id: ContextVar[str] = ContextVar("flexgate_request_id", default="")


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Open a short transaction as `actor`; nested use narrows or widens and restores what stood before.

    Fetch rows inside it. Never hold it across an upstream call: `refuse_open_context` guards that.
    """
    outer = _standing.get()
    standing = _standing_of(actor)
    with transaction.atomic():
        _set_standing(standing)
        token = _standing.set(standing)
        try:
            yield
        finally:
            _standing.reset(token)
    # A SET LOCAL outlives the released savepoint (a rolled-back one restores it by itself), so put the outer standing back.
    if connection.in_atomic_block:
        _set_standing(outer or NOBODY)


def ask_as(actor: Actor, statement: str, parameters: Sequence[Any]) -> list[Any]:
    """The rows of one statement as `actor`, in a short transaction of its own and in one round trip to PostgreSQL, not five.

    What is sent together is one transaction, which ends with it; inside another one the standing is put back after it.
    """
    before = (_standing.get() or NOBODY) if connection.in_atomic_block else ()
    together = f"{BECOME}; {statement}; {BECOME}" if before else f"{BECOME}; {statement}"
    with connection.cursor() as cursor:
        cursor.execute(together, [*_standing_of(actor), *parameters, *before])
        cursor.nextset()
        return list(cursor.fetchall())


def refuse_open_context(what: str) -> None:
    """Raise RuntimeError where `what` (an upstream call) would happen inside an open `acting_as`."""
    if _standing.get() is not None:
        raise RuntimeError(f"{what} inside an open tenant context: the transaction would span an upstream call.")


def _standing_of(actor: Actor) -> Standing:
    tenants = ",".join(str(tenant_id) for tenant_id in actor.tenant_ids)
    token = str(actor.token_id or "")
    if actor.reach is None:
        return ROLE_BY_KIND[actor.kind], tenants, "", "", token
    serials, configs = sorted(actor.reach.entitlements), sorted(actor.reach.configs)
    return NARROWED, tenants, ",".join(serials), ",".join(map(str, configs)), token


def _set_standing(standing: Standing) -> None:
    with connection.cursor() as cursor:
        cursor.execute(BECOME, standing)


def current_request_id() -> str:
    """The id of the request or task under way ("" outside of both)."""
    return _request_id.get()


@contextmanager
def with_request_id(request_id: str) -> Iterator[None]:
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


def current_address() -> str:
    """Where the request under way came from ("" outside of one)."""
    return _address.get()


@contextmanager
def with_address(address: str) -> Iterator[None]:
    token = _address.set(address)
    try:
        yield
    finally:
        _address.reset(token)
