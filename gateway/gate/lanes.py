"""The lane's row: looked at and locked, taken, given back. Every call goes through here, so it is written by hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from gateway.gate.limits import COUNTED, HOUR, MINUTE, Asker, Counts, Why
from gateway.gate.records import GATE, SILENT_AFTER, CallRecord
from gateway.models import ApiUser, UpstreamLane
from tenants import clock
from tenants.actors import Actor
from tenants.context import PATIENCE, current_request_id, write_if
from tenants.last_words import Word, write_last
from tenants.rows import Statement, all_of, columns_of, instance_of, write_together

LOCK = f"SELECT {columns_of(UpstreamLane, 'lane')} FROM gateway_upstreamlane lane WHERE api_user_id = %s FOR UPDATE"  # noqa: S608
OPEN_IN_CLAIM = "15s"
# A statement of its own: it must see what was written while the row's lock was waited for. From here on nothing is waited for long:
# what a claim wants may be held by a transaction that takes its time, and the lane is no place to wait for that. A process that is stopped
# in the middle of a claim gives the lane's row free.
LOOK = f"""
    SELECT {COUNTED}, EXISTS (
        SELECT 1 FROM gateway_upstreamturn WHERE api_user_id = %s AND alive_until > %s
    ), set_config('lock_timeout', '{PATIENCE}', true) || set_config('idle_in_transaction_session_timeout', '{OPEN_IN_CLAIM}', true)
    FROM gateway_upstreamcall WHERE api_user_id = %s AND at > %s
"""  # noqa: S608 - constants
ANNOUNCE = """
    INSERT INTO gateway_upstreamcall (api_user_id, tenant_id, at, path, failed, outcome, request_id)
    SELECT %s, %s, %s, '', false, '', %s WHERE true
"""
TAKE = "UPDATE gateway_upstreamlane SET holder = %s, held_until = %s WHERE api_user_id = %s"
RECORD = """
    UPDATE gateway_upstreamcall SET at = %s, path = %s, outcome = %s, failed = %s, http_status = %s, milliseconds = %s
    WHERE api_user_id = %s AND at = %s
"""
NEVER_MADE = "DELETE FROM gateway_upstreamcall WHERE api_user_id = %s AND at = %s"
FREE = f"""
    EXISTS (SELECT 1 FROM gateway_upstreamlane WHERE api_user_id = %s AND coalesce(held_until <= %s, true)
        AND coalesce(closed_until <= %s, true) AND failures < %s)
    AND NOT EXISTS (SELECT 1 FROM gateway_upstreamturn WHERE api_user_id = %s AND alive_until > %s)
    AND (SELECT minute < %s AND hour < %s AND errors < %s FROM (
        SELECT {COUNTED} FROM gateway_upstreamcall WHERE api_user_id = %s AND at > %s) AS counted (minute, hour, errors))
"""  # noqa: S608 - constants
GIVE_BACK = """
    UPDATE gateway_upstreamlane SET holder = NULL, held_until = NULL, failures = %s,
        closed_until = coalesce(%s, closed_until), closed_reason = coalesce(%s, closed_reason)
    WHERE api_user_id = %s AND holder = %s
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is to happen with the taking of a free lane: `words`, if `holds` is true once `locks` are held. `claimed` = what that is.

    `besides` = what somebody writes for it to be there at all; it is written by `otherwise` where the lane is not free.
    """

    locks: Sequence[Statement]
    holds: Statement
    words: Sequence[Word]
    claimed: Any
    besides: tuple[Actor, Sequence[Word]] | None = None
    otherwise: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Look:
    """The lane, locked, and what stood in the windows and before it then."""

    lane: UpstreamLane
    counts: Counts
    someone_waits: bool


def lock_lane(api_user: ApiUser, now: datetime) -> Look:
    """Inside an open context of the gateway. `now` from before the lock: the windows begin earlier by what it was waited for, never later."""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                f"{LOCK};{LOOK}",
                [api_user.id, now - MINUTE, now, api_user.id, now, api_user.id, now - HOUR],
            )
            row = cursor.fetchone()
            if row is not None:
                lane = instance_of(UpstreamLane, row)
                cursor.nextset()
                minute, hour, errors, waiting, _ = cursor.fetchone()
                return Look(lane, Counts(minute, hour, errors), waiting)
        UpstreamLane.objects.bulk_create([UpstreamLane(api_user=api_user)], ignore_conflicts=True)


def take_lane(lane: UpstreamLane, asker: Asker, *, holder: UUID, held_until: datetime) -> None:
    """`lane` is `holder`'s until it gives it back or `held_until`, and a request is about to be made.

    The request counts from before it is made: until it is over its row stands at the end of the lease, by which it is found again.
    """
    lane.holder, lane.held_until = holder, held_until
    api_user_id = lane.api_user_id
    write_last([Statement(TAKE, [holder, held_until, api_user_id]), _announcement(api_user_id, asker, held_until)])


def take_free_lane(
    api_user: ApiUser,
    asker: Asker,
    *,
    limits: Mapping[str, int],
    holder: UUID,
    held_until: datetime,
    also: "Claim",
) -> UpstreamLane | None:
    """The lane as it was, now `holder`'s, where it is free, nobody waits, nothing is closed and every window has room; with `also` in the
    same step. None, and nothing done, where anything of that is not so: then a longer look tells what.
    """
    now = clock.now()
    free = [
        *(api_user.id, now, now, SILENT_AFTER),
        *(api_user.id, now),
        *(limits["minute"], limits["hour"], limits["errors"], now - MINUTE, now, api_user.id, now - HOUR),
    ]
    found = write_if(
        GATE,
        locks=[Statement(LOCK, [api_user.id]), *also.locks],
        holds=all_of([Statement(FREE, free), also.holds]),
        words=[
            *also.words,
            Statement(TAKE, [holder, held_until, api_user.id]),
            _announcement(api_user.id, asker, held_until),
        ],
        besides=also.besides,
    )
    return instance_of(UpstreamLane, found[0][0]) if found else None


def announce_request(api_user_id: UUID, asker: Asker, held_until: datetime, *, made: CallRecord | None) -> None:
    """One more request within a turn, and what came of the one before."""
    write_together([*_recorded(api_user_id, held_until, made), _announcement(api_user_id, asker, held_until)])


def free_lane(
    api_user_id: UUID,
    *,
    holder: UUID,
    held_until: datetime,
    made: CallRecord | None,
    never_made: bool,
    failures: int,
    closing: tuple[int, str, Why] | None,
) -> None:
    """Give the lane back if it is still `holder`'s, with what came of its last request. `never_made` = it was announced only."""
    until, reason = None, None
    if closing is not None:
        seconds, words, why = closing
        until, reason = clock.now() + timedelta(seconds=seconds), f"{why}: {words}"[:100]
    forgotten = [Statement(NEVER_MADE, [api_user_id, held_until])] if never_made else []
    given_back = Statement(GIVE_BACK, [failures, until, reason, api_user_id, holder])
    write_last([*_recorded(api_user_id, held_until, made), *forgotten, given_back])


def _announcement(api_user_id: UUID, asker: Asker, held_until: datetime) -> Statement:
    return Statement(ANNOUNCE, [api_user_id, asker.tenant_id, held_until, current_request_id()])


def _recorded(api_user_id: UUID, held_until: datetime, call: CallRecord | None) -> list[Statement]:
    if call is None:
        return []
    told = [clock.now(), call.path, call.outcome[:40], call.failed, call.http_status, call.milliseconds]
    return [Statement(RECORD, [*told, api_user_id, held_until])]
