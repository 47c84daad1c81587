"""Around every access to tenant data: `acting_as(actor)`. The only caller of set_config.

The gateway's login role has no right on any table. Inside `acting_as` a short transaction carries the role and the tenant list,
so that row-level security narrows what even a forgotten filter can reach; outside it every query is refused by PostgreSQL.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable

from tenants.actors import Actor, ActorKind
from tenants.append_only import AppendOnly
from tenants.last_words import Word, collect_words, write_last
from tenants.prepared import run_together
from tenants.presumption import confirm_presumed, confirming, what_is_presumed
from tenants.rows import Statement, all_of, statements_of, write_together

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
# `OPEN_FOR`: a process that is stopped in the middle must not hold for ever what others wait for. What is prepared is looked up by a key
# (tenants.prepared): to find out that its plan does not hang on the values would take PostgreSQL five plans.
STAND = """SELECT set_config('role', %s, true), set_config('flexgate.tenants', %s, true),
    set_config('flexgate.serials', %s, true), set_config('flexgate.configs', %s, true), set_config('flexgate.token', %s, true)"""
BECOME = f"""{STAND}, set_config('search_path', 'public, pg_temp', true),
    set_config('idle_in_transaction_session_timeout', %s, true), set_config('plan_cache_mode', %s, true)"""
OPEN_FOR = "2min"
PATIENCE = "2s"  # with a row that somebody else has locked, while others wait for us
# For what is found by a key alone: functions and triggers would plan by it, too.
PLANNED_ONCE, PLANNED_AS_EVER = "force_generic_plan", "auto"
BEGIN_IMPATIENTLY = f"{BECOME}, set_config('lock_timeout', '{PATIENCE}', true)"
BEGINNINGS = frozenset({STAND, BECOME, BEGIN_IMPATIENTLY})
HURRY = Statement("SELECT set_config('lock_timeout', '100ms', true)", [])  # from here on
HOLDS = "current_setting('flexgate.holds') = 'true'"  # what `write_if` found, for the rest of its transaction

_standing: ContextVar[Standing | None] = ContextVar("flexgate_standing", default=None)
_address: ContextVar[str] = ContextVar("flexgate_address", default="")
_request_id: ContextVar[str] = ContextVar("flexgate_request_id", default="")


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Open a short transaction as `actor`; nested use narrows or widens and restores what stood before.

    Fetch rows inside it. Never hold it across an upstream call: `refuse_open_context` guards that.
    """
    confirm_presumed()
    outer = _standing.get()
    standing = _standing_of(actor)
    with transaction.atomic():
        if standing != outer:
            _set_standing(standing)
        token = _standing.set(standing)
        try:
            with collect_words() as words:
                yield
            if connection.needs_rollback:
                words.clear()
            else:
                # Records alone may wait for an outer context of the same standing: what it reads is everything else.
                ours = [word for word in words if standing != outer or not isinstance(word, AppendOnly)]
                write_together(ours)
                words[:] = words[len(ours) :]
        finally:
            _standing.reset(token)
    write_last(words)  # whoever stands as we did says them with its own
    # A SET LOCAL outlives the released savepoint (a rolled-back one restores it by itself), so put the outer standing back.
    if connection.in_atomic_block and standing != outer:
        _set_standing(outer or NOBODY)


@dataclass(frozen=True, slots=True)
class Question:
    """One statement that gives rows, and as whom it is asked."""

    actor: Actor
    statement: str
    parameters: Sequence[Any]


def ask_as(actor: Actor, statement: str, parameters: Sequence[Any], *, by_key: bool = False) -> list[Any]:
    """The rows of one statement as `actor`, in a short transaction of its own and in one round trip to PostgreSQL, not five."""
    return ask_together(Question(actor, statement, parameters), by_key=by_key)[0]


def ask_together(*questions: Question, by_key: bool = False) -> list[list[Any]]:
    """The rows of each question, all in one round trip. `by_key` = whatever the values are, the same plan is right (tenants.prepared).

    What is sent together is one transaction, which ends with it; inside another one the standing is put back after it.
    """
    confirm_presumed()
    plans = PLANNED_ONCE if by_key else PLANNED_AS_EVER
    asked, answers, standing = list[Word](), list[int](), None
    for question in questions:
        if standing != (standing := _standing_of(question.actor)):
            asked.append(_become(standing, plans=plans))
        answers.append(len(asked))
        asked.append(Statement(question.statement, question.parameters))
    if connection.in_atomic_block:
        asked.append(_become(_standing.get() or NOBODY))
    found = _send(asked, by_key=by_key)
    return [found[place] for place in answers]


def write_if(
    actor: Actor,
    *,
    locks: Sequence[Statement],
    holds: Statement,
    words: Sequence[Word],
    besides: tuple[Actor, Sequence[Word]] | None = None,
) -> list[list[Any]] | None:
    """Write `words` if the condition `holds` once `locks` are held, all in one transaction and one round trip; else None, and nothing is done.

    The rows that each of `locks` gave. `besides` = what somebody else writes in the same transaction, after `words`. A statement among either
    ends with its WHERE. Inside another transaction, and where a row is locked too long, it is None too: this is a short cut for what is usual,
    and whoever takes it knows the longer way. Only for the gateway itself. Whoever is only presumed to ask is confirmed by the way.
    """
    if connection.in_atomic_block:
        return None
    presumed = what_is_presumed()
    asked = [_become(_standing_of(actor), plans=PLANNED_ONCE, begins=BEGIN_IMPATIENTLY), *locks]
    conditions = [holds]
    if presumed is not None:
        # A rate is many requests', and what is locked here many tenants': none of those is to wait for what we may wait for.
        asked += [HURRY, presumed.asks()]
        conditions.insert(0, presumed.holds)  # where it does not hold, nothing more is looked at or locked
    condition = all_of(conditions)
    asked.append(Statement(f"SELECT set_config('flexgate.holds', ({condition.text})::text, true)", condition.values))
    asked += statements_of(words, only_if=HOLDS)
    if besides is not None:
        somebody, said = besides
        asked += [_stand_as(_standing_of(somebody)), *statements_of(said, only_if=HOLDS)]
    try:
        found = _send(asked, by_key=True)
    except OperationalError as error:
        if isinstance(error.__cause__, (LockNotAvailable, DeadlockDetected)):
            return None
        raise
    place = 1 + len(locks)
    if presumed is not None:
        with confirming():
            stands = presumed.hears(found[place + 1])
            if not stands:
                presumed.confirm()
        if not stands:
            return write_if(actor, locks=locks, holds=holds, words=words, besides=besides)
        place += 2
    [[it_holds]] = found[place]
    return list(found[1 : 1 + len(locks)]) if it_holds == "true" else None


def _send(words: Sequence[Word], *, by_key: bool) -> Sequence[list[Any]]:
    """The rows that each gave."""
    return run_together(_parts(words), by_key=by_key)


def _become(standing: Standing, plans: str = PLANNED_AS_EVER, begins: str = BECOME) -> Statement:
    return Statement(begins, [*standing, OPEN_FOR, plans])


def _stand_as(standing: Standing) -> Statement:
    """Somebody else, in a transaction that has begun by `_become`."""
    return Statement(STAND, standing)


def _parts(words: Sequence[Word]) -> list[tuple[str, Statement]]:
    """Each with the role that it is run as: that of the last BECOME."""
    parts, role = [], ""
    for statement in statements_of(words):
        role = str(statement.values[0]) if statement.text in BEGINNINGS else role
        parts.append((role, statement))
    return parts


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
        cursor.execute(BECOME, [*standing, OPEN_FOR, PLANNED_AS_EVER])


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
