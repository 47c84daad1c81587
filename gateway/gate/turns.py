"""Waiting for the lane of an API user, holding it for one call, and giving it back."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import OperationalError, transaction
from psycopg.errors import LockNotAvailable

from gateway.gate.lanes import Claim, announce_request, free_lane, lock_lane, take_free_lane, take_lane
from gateway.gate.limits import Asker, GateClosed, Standing, Why, full_window, limits_of, seconds_of
from gateway.gate.pauses import next_pause, sleep_until_freed, tell_freed
from gateway.gate.queue import place_in_line, stand_in_line, step_out
from gateway.gate.records import GATE, SILENT_AFTER, CallRecord
from gateway.models import ApiUser, UpstreamLane
from tenants import clock, ids
from tenants.context import acting_as, refuse_open_context

LEASE_MARGIN = 10  # seconds by which a lease outlives its call's total deadline
ALIVE = timedelta(seconds=5)  # how long a waiting turn counts after its last look


@dataclass(slots=True)
class Turn:
    """The lane is ours until `ends_at` (monotonic). `announced` = a request is about to be made; `made` = what came of the last one, not
    written down yet; `lane` as it was when taken.
    """

    api_user: ApiUser
    asker: Asker
    holder: UUID
    ends_at: float
    lease_ends: datetime
    lane: UpstreamLane
    claimed: Any = None
    announced: bool = True
    made: CallRecord | None = None
    failures: int = 0
    closing: tuple[int, str, Why] | None = None
    given_back: bool = False

    def record(self, call: CallRecord) -> None:
        """What came of the request that was about to be made; written when the lane is given back, or before the next request."""
        if self.announced:
            self.made, self.announced = call, False

    def announce_next(self) -> None:
        """One more request on the wire within this turn."""
        if not self.announced:
            with acting_as(GATE):
                announce_request(self.api_user.id, self.asker, self.lease_ends, made=self.made)
            self.made, self.announced = None, True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Given back at the end, whatever happens."""
        try:
            yield
        finally:
            self.give_back()

    def give_back(self) -> None:
        if not self.given_back:
            with acting_as(GATE):
                self.give_back_here()
            self.note_given_back()

    def give_back_here(self) -> None:
        """As part of the caller's transaction (the gateway's), which saves one of our own; what is rolled back is given back later."""
        self.write_back()
        transaction.on_commit(self.note_given_back)

    def write_back(self) -> None:
        """The giving back, as last words of a context; whoever sees them written tells by `note_given_back`."""
        free_lane(
            self.api_user.id,
            holder=self.holder,
            held_until=self.lease_ends,
            made=self.made,
            never_made=self.announced,
            failures=self.failures,
            closing=self.closing,
        )

    def note_given_back(self) -> None:
        self.given_back = True
        tell_freed(self.api_user.id)


@contextmanager
def take_turn(
    api_user: ApiUser,
    asker: Asker,
    *,
    wait_seconds: float,
    call_seconds: float,
    writes: bool,
    stands_for: Callable[[], UUID | None] | None = None,
    claim: Callable[[], Any] = lambda: True,
    logs_in: bool = False,
) -> Iterator[Turn | None]:
    """The lane for one call. GateClosed if it can't be had in `wait_seconds`, at once where that is certain.

    `claim` is what must be true and written down in the same transaction that takes the lane; where it finds nothing to do the lane
    stays free and the block gets None. `stands_for` = whom this turn is for, asked again at every look: who drains a queue serves the
    tenant whose turn it is when the lane is free, not the one whose turn it was when it began to wait. `logs_in` = only a login is
    made, on another server: the lane must be ours, for it ends the live token, but a closed gate and full windows don't matter.
    """
    refuse_open_context("A call of FortiFlex")
    wish = _Wish(api_user, asker, call_seconds, writes, claim, stands_for, logs_in)
    turn = _wait_for_turn(wish, wait_seconds)
    if turn is None:
        yield None
        return
    with turn.held():
        yield turn


@dataclass(slots=True)
class _Wish:
    api_user: ApiUser
    asker: Asker
    call_seconds: float
    writes: bool
    claim: Callable[[], Any]
    stands_for: Callable[[], UUID | None] | None
    logs_in: bool
    id: UUID = field(default_factory=ids.new_id)


def take_turn_at_once(api_user: ApiUser, asker: Asker, *, call_seconds: float, claim: Claim) -> Turn | None:
    """The lane, where it is free and nobody waits, with `claim` in the same step; whoever gets it gives it back. None = wait for it."""
    refuse_open_context("A call of FortiFlex")
    holder, held_until, ends_at = _lease(call_seconds)
    limits = limits_of(api_user, asker.standing)
    lane = take_free_lane(api_user, asker, limits=limits, holder=holder, held_until=held_until, also=claim)
    if lane is None:
        claim.otherwise()
        return None
    return Turn(api_user, asker, holder, ends_at, held_until, lane, claim.claimed, failures=lane.failures)


def _lease(call_seconds: float) -> tuple[UUID, datetime, float]:
    """Whose the lane is, until when, and until when the call may take: from one moment, so that the lease outlives the call."""
    held_until = clock.now() + timedelta(seconds=call_seconds + LEASE_MARGIN)
    return ids.new_id(), held_until, time.monotonic() + call_seconds


def _wait_for_turn(wish: _Wish, wait_seconds: float) -> Turn | None:
    ends_at, in_line, looks = time.monotonic() + wait_seconds, False, 0
    try:
        while True:
            left = ends_at - time.monotonic()
            try:
                with acting_as(GATE):
                    if wish.stands_for is not None:
                        wish.asker = Asker(wish.asker.standing, wish.stands_for())
                    found, before = _try(wish, in_line=in_line, may_wait=left > 0)
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                # What this is about is being changed right now, and the lane is no place to wait for that.
                found, before = GateClosed("What this is about is being changed.", seconds=2, why=Why.QUEUE), 1
            if not isinstance(found, GateClosed):
                in_line = False
                return found
            in_line = in_line or left > 0
            # A closed gate or a full window opens at a known time: who can't wait that long is told at once.
            pause = next_pause(found, before, looks)
            if found.why is Why.PROBE or (pause if found.why is Why.QUEUE else found.seconds) > left:
                raise found
            looks += 1
            sleep_until_freed(wish.api_user, min(pause, left), wake=before <= 1)
    finally:
        if in_line:
            with acting_as(GATE):
                step_out(wish.id)


def _try(wish: _Wish, *, in_line: bool, may_wait: bool) -> tuple["Turn | GateClosed | None", int]:
    """The lane for us, or why not and how many go before us. One short transaction; the row lock makes looking and taking one step."""
    api_user, asker = wish.api_user, wish.asker
    look = lock_lane(api_user, clock.now())
    lane, counts, now = look.lane, look.counts, clock.now()
    closed = None if wish.logs_in else _why_closed(lane, now, writes=wish.writes)
    if closed is not None:
        return closed, 0
    before, held = 0, lane.held_until is not None and lane.held_until > now
    if held or look.someone_waits:
        in_line = True
        stand_in_line(api_user, wish.id, asker, now + ALIVE)
        # Those who stand higher but have used up their part of the windows don't hold us up.
        standings = [s for s in Standing if s <= asker.standing and not full_window(api_user, counts, s, now)]
        before = place_in_line(api_user, wish.id, now, [*standings, int(asker.standing)])
        if not may_wait:
            step_out(wish.id)
    full = None if wish.logs_in else full_window(api_user, counts, asker.standing, now)
    if full is not None:
        return full, before
    if held or before:
        reason = f"{before} others are before this one." if before else "Another call of this API user is under way."
        return GateClosed(reason, seconds=2, why=Why.QUEUE), before
    if in_line:
        step_out(wish.id)
    claimed = wish.claim()
    if claimed is None:
        return None, 0
    holder, held_until, ends_at = _lease(wish.call_seconds)  # now, for the claim may have waited
    take_lane(lane, asker, holder=holder, held_until=held_until)
    return Turn(api_user, asker, holder, ends_at, held_until, lane, claimed, failures=lane.failures), 0


def _why_closed(lane: UpstreamLane, now: datetime, *, writes: bool) -> GateClosed | None:
    if lane.closed_until is not None and lane.closed_until > now:
        kind, _, reason = lane.closed_reason.partition(": ")
        why = Why(kind) if kind in set(Why) else Why.LIMITS
        return GateClosed(f"Closed: {reason or kind}.", seconds=seconds_of(lane.closed_until - now), why=why)
    if writes and lane.failures >= SILENT_AFTER:
        return GateClosed("FortiFlex did not answer lately; a read goes first.", seconds=1, why=Why.PROBE)
    return None
