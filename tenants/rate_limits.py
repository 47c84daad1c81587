"""Rates shared by all processes: one statement on an unlogged PostgreSQL table, in the transaction that looks up the token anyway.

Each bucket refills evenly (the generic cell rate algorithm): `full_at` is when all of its quota is free again, so that one column
and one comparison say both how much is left and how long to wait. No process keeps a count of its own.
"""

import math
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import connection

from tenants.actors import AUTHENTICATOR
from tenants.context import Question, ask_as, ask_together
from tenants.problems import Problem

WINDOW = 60  # seconds
TAKE_IF = """
    INSERT INTO tenants_ratebucket AS bucket (key, full_at)
    SELECT key, statement_timestamp() + make_interval(secs => cost) FROM unnest(%s::text[], %s::float8[]) AS asked (key, cost)
    WHERE {}
    ON CONFLICT (key) DO UPDATE
        SET full_at = greatest(bucket.full_at, statement_timestamp()) + (excluded.full_at - statement_timestamp())
        WHERE greatest(bucket.full_at, statement_timestamp()) + (excluded.full_at - statement_timestamp())
            <= statement_timestamp() + make_interval(secs => %s)
    RETURNING key, extract(epoch FROM full_at - statement_timestamp())::float8 AS full_in
"""
TAKE = TAKE_IF.format("true")
# One statement sees the rows as they were before it, so what comes back of `asked` is worked out, not read again.
GIVE_BACK = """
    WITH given AS (SELECT key, make_interval(secs => cost) AS cost FROM unnest(%s::text[], %s::float8[]) AS granted (key, cost)),
    returned AS (UPDATE tenants_ratebucket bucket SET full_at = bucket.full_at - given.cost FROM given WHERE bucket.key = given.key)
    SELECT bucket.key, extract(epoch FROM bucket.full_at - coalesce(given.cost, '0') - statement_timestamp())::float8
    FROM tenants_ratebucket bucket LEFT JOIN given ON given.key = bucket.key WHERE bucket.key = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """`quota` at once for `key`, refilled evenly over a WINDOW. `name` is what the headers call it."""

    name: str
    key: str
    quota: int

    @property
    def cost(self) -> float:
        return WINDOW / self.quota


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a rate right now, and in how many seconds all of it is free again."""

    rate: Rate
    remaining: int
    full_in: int


_told: ContextVar[list[Left] | None] = ContextVar("flexgate_rates", default=None)


def take(rates: Sequence[Rate]) -> list[Left]:
    """Count one request against every rate, or against none: Problem `rate_limited`. Stands as the authenticator by itself.

    Rates are locked in the order given, for the length of one statement; give what fewer callers share first, so that two callers never
    wait for each other crosswise.
    """
    return judge(rates, ask_together(taking(rates), by_key=True)[0])


def taking(rates: Sequence[Rate]) -> Question:
    """What `take` asks, to be asked together with something else; `judge` says what came of it."""
    return Question(AUTHENTICATOR, TAKE, values_of(rates))


def values_of(rates: Sequence[Rate]) -> list[Any]:
    """For TAKE, and for what it is a part of."""
    return [[rate.key for rate in rates], [rate.cost for rate in rates], float(WINDOW)]


def judge(rates: Sequence[Rate], rows: Sequence[tuple[str, float]]) -> list[Left]:
    """What is left, by what `taking` gave. Problem `rate_limited`."""
    found = dict(rows)
    refused = [rate for rate in rates if rate.key not in found]
    if refused:
        # Nothing was done, so what was counted against the others goes back.
        granted = [rate for rate in rates if rate.key in found]
        found |= dict(
            ask_as(
                AUTHENTICATOR,
                GIVE_BACK,
                [[rate.key for rate in granted], [rate.cost for rate in granted], [rate.key for rate in rates]],
            )
        )
    left = [_left_of(rate, found.get(rate.key, 0.0)) for rate in rates]
    tell(left)
    if refused:
        wait = max(1, *(math.ceil(found.get(rate.key, 0.0) + rate.cost - WINDOW) for rate in refused))
        names = " and ".join(f"{rate.quota} a minute per {rate.name}" for rate in refused)
        raise Problem(
            "rate_limited", f"The limit is {names}. Try again in {wait} s.", headers={"Retry-After": str(wait)}
        )
    return left


def has_room(rate: Rate) -> bool:
    """Count one against `rate` if there is room; False, and nothing counted, if not."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, values_of([rate]))
        return bool(cursor.fetchall())


def seconds_to_wait(rate: Rate) -> int:
    """0 while `rate` has room, else how long until it has. Counts nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM full_at - statement_timestamp())::float8 FROM tenants_ratebucket WHERE key = %s",
            [rate.key],
        )
        row = cursor.fetchone()
    return max(0, math.ceil((row[0] if row else 0.0) + rate.cost - WINDOW))


def forget_full_buckets() -> int:
    """Drop what is free again; how many. Inside an `acting_as` of the gateway itself."""
    with connection.cursor() as cursor:
        # What a request counts against right now is not free, and to wait for it would be crosswise to those who take several.
        cursor.execute("""
            DELETE FROM tenants_ratebucket WHERE key IN (
                SELECT key FROM tenants_ratebucket WHERE full_at < statement_timestamp() FOR UPDATE SKIP LOCKED
            )
        """)
        return int(cursor.rowcount)


def tell(left: list[Left]) -> None:
    """Remember for the answer's headers."""
    _told.set(left)


def rate_headers() -> dict[str, str]:
    """RateLimit and RateLimit-Policy (IETF draft-ietf-httpapi-ratelimit-headers) of the request under way; forgets them."""
    left = _told.get()
    _told.set(None)
    if not left:
        return {}
    policy = ", ".join(f'"{one.rate.name}";q={one.rate.quota};w={WINDOW}' for one in left)
    return {
        "RateLimit-Policy": policy,
        "RateLimit": ", ".join(f'"{one.rate.name}";r={one.remaining};t={one.full_in}' for one in left),
    }


def _left_of(rate: Rate, full_in: float) -> Left:
    used = math.ceil(round(full_in / rate.cost, 6))
    return Left(rate, max(0, rate.quota - used), max(0, math.ceil(full_in)))
