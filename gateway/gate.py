"""The gate to FortiFlex, per API user and over all processes: one call in flight, calls and errors counted, closed when FortiFlex says so.

All of it is rows in PostgreSQL: a lease that runs out by itself if its holder dies, and one row per request put on the wire. No lock
and no transaction is held while a call is under way.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db.models import Count, Q

from gateway.access_tokens import LOGIN_REFUSED, AccessTokens
from gateway.fortiflex.errors import (
    FortiFlexError,
    LoginRefused,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    TokenRejected,
)
from gateway.fortiflex.records import Exchange
from gateway.models import ApiUser, UpstreamCall, UpstreamLane
from tenants import clock, ids
from tenants.actors import system
from tenants.context import acting_as, current_request_id, refuse_open_context

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LEASE_MARGIN = 10  # seconds by which a lease outlives its call's total deadline
POLL_SECONDS = (0.005, 0.1)  # first and longest sleep between two looks at the lane
GATE = system("gate")
# How long the gate stays shut after each of FortiFlex's own complaints (reference 2.6), unless Retry-After says more.
CLOSED_SECONDS = {-10: 60, -11: 3600, -12: 5, -30: 3600, 0: 60}
LOGIN_REFUSED_SECONDS = 900  # a wrong password must not burn the error budget: a person has to act


class GateClosed(NotSent):
    """The call was not made: the limits are used up, the lane is taken, or FortiFlex told us to wait. `seconds` = try again then."""

    def __init__(self, message: str, *, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(slots=True)
class GatedSession:
    """The Session of one API user. `wait_seconds`: how long a caller waits for its turn; `call_seconds`: the call's total deadline."""

    api_user: ApiUser
    tokens: AccessTokens
    wait_seconds: float
    call_seconds: float

    @contextmanager
    def enter(self, path: str, *, writes: bool) -> Iterator["GatedPassage"]:
        refuse_open_context(f"A call of {path}")
        holder = self._take_lane(time.monotonic() + self.wait_seconds)
        try:
            yield GatedPassage(self, path, holder, time.monotonic() + self.call_seconds)
        finally:
            with acting_as(GATE):
                UpstreamLane.objects.filter(api_user=self.api_user, holder=holder).update(holder=None, held_until=None)

    def _take_lane(self, give_up_at: float) -> UUID:
        pause, longest = POLL_SECONDS
        while True:
            taken = self._try_lane()
            if isinstance(taken, UUID):
                return taken
            left = give_up_at - time.monotonic()
            # A closed gate or a full window opens at a known time: who can't wait that long is told at once. A taken lane may be free
            # any moment.
            opens_in = taken.seconds if taken.seconds > 1 else pause
            if opens_in > left:
                raise taken
            time.sleep(opens_in)
            pause = min(pause * 2, longest)

    def _try_lane(self) -> "UUID | GateClosed":
        """The lane for us, or why not. One short transaction; the row lock makes counting and taking one step."""
        with acting_as(GATE):
            UpstreamLane.objects.bulk_create([UpstreamLane(api_user=self.api_user)], ignore_conflicts=True)
            lane = UpstreamLane.objects.select_for_update().get(api_user=self.api_user)
            now = clock.now()
            if lane.closed_until is not None and lane.closed_until > now:
                return GateClosed(f"Closed: {lane.closed_reason}.", seconds=_seconds(lane.closed_until - now))
            if lane.held_until is not None and lane.held_until > now:
                return GateClosed("Another call of this API user is under way.", seconds=1)
            full = self.full_window(room=1)
            if full is not None:
                return full
            lane.holder = ids.new_id()
            lane.held_until = now + timedelta(seconds=self.call_seconds + LEASE_MARGIN)
            lane.save(update_fields=["holder", "held_until"])
            return lane.holder

    def full_window(self, *, room: int) -> GateClosed | None:
        """Why `room` more requests would go over a limit, or None. Inside an open context; only the lane's holder counts up."""
        now = clock.now()
        calls = UpstreamCall.objects.filter(api_user=self.api_user, at__gt=now - HOUR)
        counts = calls.aggregate(
            minute=Count("id", filter=Q(at__gt=now - MINUTE)),
            hour=Count("id"),
            errors=Count("id", filter=Q(failed=True)),
        )
        limits = (
            ("minute", self.api_user.per_minute, room, calls.filter(at__gt=now - MINUTE), MINUTE),
            ("hour", self.api_user.per_hour, room, calls, HOUR),
            ("errors", self.api_user.errors_per_hour, 1, calls.filter(failed=True), HOUR),
        )
        for name, limit, wanted, rows, window in limits:
            if counts[name] + wanted > limit:
                # Room is there again when all but `limit - wanted` of the newest have left the window.
                last = rows.order_by("-at").values_list("at", flat=True)[max(0, limit - wanted) :][:1]
                seconds = _seconds(last[0] + window - now) if last else round(window.total_seconds())
                what = "errors an hour" if name == "errors" else f"calls a{'n' if name == 'hour' else ''} {name}"
                return GateClosed(f"The limit of {limit} {what} is used up.", seconds=seconds)
        return None


@dataclass(slots=True)
class GatedPassage:
    """One turn in the lane."""

    session: GatedSession
    path: str
    holder: UUID
    ends_at: float
    _sent_at: float = field(default_factory=time.monotonic)

    def seconds_left(self) -> float:
        return self.ends_at - time.monotonic()

    def access_token(self, *, rejected: str | None = None) -> str:
        api_user = self.session.api_user
        found = self.session.tokens.read(api_user)
        if found is not None and found != rejected:
            return found
        with acting_as(GATE):
            full = self.session.full_window(room=2)  # the login, and the call that it is for
        if full is not None:
            raise full
        try:
            token = self.session.tokens.log_in(api_user, seconds=self.seconds_left())
        except LoginRefused as error:
            self._write_call("oauth/token", failed=True, outcome="login_refused", http_status=None)
            self._close(LOGIN_REFUSED_SECONDS, LOGIN_REFUSED)
            raise error
        except NotSent:
            raise
        except FortiFlexError:
            self._write_call("oauth/token", failed=True, outcome="login_failed", http_status=None)
            raise
        self._write_call("oauth/token", failed=False, outcome="ok", http_status=200)
        return token

    def record_answer(self, exchange: Exchange) -> None:
        self._write_call(self.path, failed=False, outcome="ok", http_status=exchange.http_status)

    def record_failure(self, error: FortiFlexError) -> None:
        outcome = error.reason if isinstance(error, OutcomeUnknown) else type(error).__name__.lower()
        http_status = error.exchange.http_status if error.exchange else None
        # A superseded token is renewed, not wrong; everything else that FortiFlex refused may count against us.
        counts = not isinstance(error, TokenRejected)
        self._write_call(self.path, failed=counts, outcome=outcome, http_status=http_status)
        if isinstance(error, RateLimited):
            seconds = max(CLOSED_SECONDS.get(error.status, 60), error.retry_after_seconds or 0)
            self._close(seconds, f"FortiFlex answered {error.status} (HTTP {error.http_status})")

    def _write_call(self, path: str, *, failed: bool, outcome: str, http_status: int | None) -> None:
        now = clock.now()
        milliseconds = round((time.monotonic() - self._sent_at) * 1000)
        with acting_as(GATE):
            UpstreamCall.objects.create(
                api_user=self.session.api_user,
                at=now,
                path=path,
                failed=failed,
                outcome=outcome,
                http_status=http_status,
                milliseconds=milliseconds,
                request_id=current_request_id(),
            )
        self._sent_at = time.monotonic()

    def _close(self, seconds: int, reason: str) -> None:
        with acting_as(GATE):
            UpstreamLane.objects.filter(api_user=self.session.api_user).update(
                closed_until=clock.now() + timedelta(seconds=seconds), closed_reason=reason[:100]
            )


def forget_old_calls() -> int:
    """Remove call rows that no window counts any more (older than two days, which a person may still want to see)."""
    with acting_as(GATE):
        removed, _ = UpstreamCall.objects.filter(at__lt=clock.now() - timedelta(days=2)).delete()
    return removed


def _seconds(span: timedelta) -> int:
    return max(1, round(span.total_seconds() + 0.5))
