"""The windows: how many calls and errors an API user has left, and how much of that each standing may use up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from uuid import UUID

from django.db import connection
from django.db.models import Q

from gateway.fortiflex.errors import NotSent
from gateway.models import ApiUser, UpstreamCall

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# Of the calls of one API user in the last hour: the fields of Counts. %s = where the minute begins, and now. A call whose process died
# under way may have been an error: it counts as one.
COUNTED = (
    "count(*) FILTER (WHERE at > %s), count(*), count(*) FILTER (WHERE failed OR (milliseconds IS NULL AND at <= %s))"
)
COUNT = f"SELECT {COUNTED} FROM gateway_upstreamcall WHERE api_user_id = %s AND at > %s"  # noqa: S608 - constants


class Standing(IntEnum):
    """Who goes first. People never wait behind what nobody waits for, and an unknown outcome must always be resolvable."""

    PEOPLE = 0
    RECONCILIATION = 1
    BACKGROUND = 2


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants a turn. `tenant_id` None = the operator, or the gateway itself."""

    standing: Standing
    tenant_id: UUID | None = None


class Why(StrEnum):
    QUEUE = "queue"  # others are before us; the lane moves
    LIMITS = "limits"  # a window is full, or FortiFlex told us to wait
    SILENT = "silent"  # FortiFlex does not answer: nothing is tried for a while
    LOGIN = "login"  # the password is wrong: a person has to act
    PROBE = "probe"  # it did not answer and may again: a read goes first


class GateClosed(NotSent):
    """The call was not made. `seconds` = try again then."""

    def __init__(self, message: str, *, seconds: int, why: Why = Why.LIMITS) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.why = why


@dataclass(frozen=True, slots=True)
class Counts:
    """What stands in an API user's windows now."""

    minute: int
    hour: int
    errors: int


def count_calls(api_user_id: UUID, now: datetime) -> Counts:
    """Inside an open context; one call under way counts already (its `at` lies in the future)."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [now - MINUTE, now, api_user_id, now - HOUR])
        return Counts(*cursor.fetchone())


def full_window(
    api_user: ApiUser, counts: Counts, standing: Standing, now: datetime, *, room: int = 1
) -> GateClosed | None:
    """Why `room` more requests of this standing would go over a limit, or None."""
    limits = limits_of(api_user, standing)
    calls = UpstreamCall.objects.filter(api_user=api_user, at__gt=now - HOUR)
    looks = (
        ("minute", counts.minute, room, calls, MINUTE),
        ("hour", counts.hour, room, calls, HOUR),
        ("errors", counts.errors, 1, calls.filter(Q(failed=True) | Q(milliseconds__isnull=True, at__lte=now)), HOUR),
    )
    for name, used, wanted, rows, window in looks:
        limit = limits[name]
        if used + wanted > limit:
            # Room is there again when all but `limit - wanted` of the newest have left the window.
            last = rows.order_by("-at").values_list("at", flat=True)[max(0, limit - wanted) :][:1]
            seconds = seconds_of(last[0] + window - now) if last else round(window.total_seconds())
            what = "errors an hour" if name == "errors" else f"calls a{'n' if name == 'hour' else ''} {name}"
            return GateClosed(f"The limit of {limit} {what} is used up.", seconds=seconds)
    return None


def limits_of(api_user: ApiUser, standing: Standing) -> Mapping[str, int]:
    """People leave a tenth of the calls and one error for reconciliation; background work leaves two fifths for all the others."""
    full = {"minute": api_user.per_minute, "hour": api_user.per_hour, "errors": api_user.errors_per_hour}
    if standing is Standing.RECONCILIATION:
        return full
    if standing is Standing.BACKGROUND:
        return {name: max(1, limit * 3 // 5) for name, limit in full.items()}
    left = {name: limit - limit // 10 for name, limit in full.items()}
    return left | {"errors": full["errors"] - 1 if full["errors"] > 2 else full["errors"]}


def seconds_of(span: timedelta) -> int:
    return max(1, round(span.total_seconds() + 0.5))
