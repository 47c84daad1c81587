"""Around every access to tenant data: `acting_as(actor)`. The only caller of set_config.

The gateway's login role has no right on any table. Inside `acting_as` a short transaction carries the role and the tenant list,
so that row-level security narrows what even a forgotten filter can reach; outside it every query is refused by PostgreSQL.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import Model

from tenants.actors import Actor, ActorKind
from tenants.rows import Statement, write_together

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
_last_words: ContextVar["LastWords | None"] = ContextVar("flexgate_last_words", default=None)
_address: ContextVar[str] = ContextVar("flexgate_address", default="")
_request_id: ContextVar[str] = ContextVar("flexgate_request_id", default="")


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Open a short transaction as `actor`; nested use narrows or widens and restores what stood before.

    Fetch rows inside it. Never hold it across an upstream call: `refuse_open_context` guards that.
    """
    outer, outer_words = _standing.get(), _last_words.get()
    standing = _standing_of(actor)
    with transaction.atomic():
        if standing != outer:
            _set_standing(standing)
        words = LastWords(len(connection.savepoint_ids))
        token, words_token = _standing.set(standing), _last_words.set(words)
        try:
            yield
            if standing == outer and outer_words is not None:
                outer_words.said += words.said
            elif not connection.needs_rollback:
                write_together(words.said)
        finally:
            _last_words.reset(words_token)
            _standing.reset(token)
    # A SET LOCAL outlives the released savepoint (a rolled-back one restores it by itself), so put the outer standing back.
    if connection.in_atomic_block and standing != outer:
        _set_standing(outer or NOBODY)


@dataclass(slots=True)
class LastWords:
    """What is written when a context ends; `depth` in savepoints, so that what is rolled back says nothing."""

    depth: int
    said: list[Model | Statement] = field(default_factory=list)


def write_last(words: Sequence[Model | Statement]) -> None:
    """Insert rows and run statements that nobody waits for within the transaction: in this order, in one round trip at its end.

    For what is only written (audit, events) or read by nobody before (see rows.write_together). As whoever acts now, and only if it comes
    to that. Within a savepoint of the caller's own they are written at once.
    """
    last = _last_words.get()
    if last is not None and len(connection.savepoint_ids) == last.depth:
        last.said += words
    else:
        write_together(words)


@dataclass(frozen=True, slots=True)
class Question:
    """One statement that gives rows, and as whom it is asked."""

    actor: Actor
    statement: str
    parameters: Sequence[Any]


def ask_as(actor: Actor, statement: str, parameters: Sequence[Any]) -> list[Any]:
    """The rows of one statement as `actor`, in a short transaction of its own and in one round trip to PostgreSQL, not five."""
    return ask_together(Question(actor, statement, parameters))[0]


def ask_together(*questions: Question) -> list[list[Any]]:
    """The rows of each question, all in one round trip.

    What is sent together is one transaction, which ends with it; inside another one the standing is put back after it.
    """
    statements, values = [], list[Any]()
    for question in questions:
        statements += [BECOME, question.statement]
        values += [*_standing_of(question.actor), *question.parameters]
    if connection.in_atomic_block:
        statements.append(BECOME)
        values += _standing.get() or NOBODY
    found = []
    with connection.cursor() as cursor:
        cursor.execute("; ".join(statements), values)
        for _ in questions:
            cursor.nextset()
            found.append(list(cursor.fetchall()))
            cursor.nextset()
    return found


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
