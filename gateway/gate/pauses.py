"""How long who waits for a lane sleeps between two looks, and who is woken."""

import threading
import time
from collections import defaultdict
from uuid import UUID

from gateway.gate.limits import GateClosed, Why
from gateway.models import ApiUser

SHORTEST_PAUSE, LONGEST_PAUSE, PAUSE_WHEN_CLOSED = 0.005, 0.5, 2.0  # all shorter than ALIVE
_freed: dict[UUID, threading.Condition] = defaultdict(threading.Condition)


def tell_freed(api_user_id: UUID) -> None:
    """The lane was given back in this process: whoever is next here need not sleep on."""
    freed = _freed[api_user_id]
    with freed:
        freed.notify_all()


def next_pause(found: GateClosed, before: int, looks: int) -> float:
    """Who is next looks often, who is far back seldom: a long queue must not wear the database out."""
    if found.why is not Why.QUEUE:
        return min(float(found.seconds), PAUSE_WHEN_CLOSED)
    return min(SHORTEST_PAUSE * (1 << min(looks + before, 10)), LONGEST_PAUSE if before else 0.05)


def sleep_until_freed(api_user: ApiUser, seconds: float, *, wake: bool) -> None:
    """Whoever is next is woken by a lane that this process gives back; the others look again by themselves."""
    if not wake:
        time.sleep(seconds)
        return
    freed = _freed[api_user.id]
    with freed:
        freed.wait(seconds)
