"""Turns among identical requests: who has one carries its write out alone, the others wait or are told to come again.

A turn is a lease that its process renews while it is alive: a killed process frees it within LEASE_SECONDS, and a verb may take as long as
it takes. A process that was stopped for longer than that has lost it without knowing; so the transaction that plans the write asks once
more (`Turn.still_holds`), and what was overtaken plans nothing.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog
from django.db import connections

from gateway.dropin.deadlines import seconds_until
from gateway.dropin.envelope import not_known_yet
from gateway.gate import WaitingRoomFull, waiting_room
from gateway.gate.waiting import HALF, THREE_QUARTERS
from tenants.leases import drop_lease, extend_lease, still_held, take_lease
from tenants.problems import Problem
from tenants.rows import Statement

TURN_LEASE = "repeat "
LEASE_SECONDS = 12.0
RENEWED_EVERY = 3.0  # several failed renewals before it is lost
POLL_SECONDS = (0.02, 0.25)
log = structlog.get_logger("flexgate.dropin")
_lock = threading.Lock()
_held: "set[Turn]" = set()
_renewer: threading.Thread | None = None


@dataclass(eq=False, slots=True)
class Turn:
    """The right to carry out one write alone. `kept` = a thread still works under it, and gives it back itself."""

    name: str
    holder: UUID
    deadline: float
    kept: bool = False

    def still_holds(self) -> Statement:
        """An expression: whether it is this one's yet; if so, nobody else gets it before the transaction ends."""
        return still_held(self.name, self.holder)

    def refusal(self) -> Problem:
        return not_known_yet()

    def give_back(self) -> None:
        with _lock:
            _held.discard(self)
        drop_lease(self.name, self.holder)


@contextmanager
def turn_of(key: str, deadline: float, tenant_id: UUID | None) -> Iterator[Turn]:
    """The turn among requests of one `key`. A row and no lock in the database: nothing is held open while FortiFlex is asked."""
    name, (pause, longest) = TURN_LEASE + key, POLL_SECONDS
    holder = take_lease(name, seconds=LEASE_SECONDS)
    if holder is None:
        with place_to_wait(tenant_id, most=HALF):  # whoever has the turn needs a place too
            while (holder := take_lease(name, seconds=LEASE_SECONDS)) is None:
                if seconds_until(deadline) <= longest:
                    raise not_known_yet()
                time.sleep(pause)
                pause = min(pause * 2, longest)
    turn = Turn(name, holder, deadline)
    _keep_alive(turn)
    try:
        yield turn
    finally:
        if not turn.kept:
            turn.give_back()


@contextmanager
def place_to_wait(tenant_id: UUID | None, *, most: float = THREE_QUARTERS) -> Iterator[None]:
    """Of the few threads that may wait; whom there is no place for is told to come again at once."""
    try:
        with waiting_room(tenant_id, most=most):
            yield
    except WaitingRoomFull:
        raise not_known_yet(retry_after=2) from None


def _keep_alive(turn: Turn) -> None:
    global _renewer
    with _lock:
        _held.add(turn)
        if _renewer is None:
            _renewer = threading.Thread(target=_renew_turns, name="dropin-turns", daemon=True)
            _renewer.start()


def _renew_turns() -> None:
    """As long as any is held; each time on a connection of its own, so that none is kept for it."""
    global _renewer
    while True:
        time.sleep(RENEWED_EVERY)
        with _lock:
            turns = list(_held)
            if not turns:
                _renewer = None
                return
        try:
            for turn in turns:
                extend_lease(turn.name, turn.holder, seconds=LEASE_SECONDS)
        except Exception:  # whatever it is: the turns of the others hang on this thread too
            log.exception("turns could not be renewed")
        finally:
            connections.close_all()
