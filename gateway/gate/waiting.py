"""How many threads of a process may wait for FortiFlex: a hanging one must not take the threads that answer from the mirror."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings

THREE_QUARTERS, HALF = 0.75, 0.5  # what one tenant may have of the places: never the last ones
_lock = threading.Lock()
_inside: Counter[UUID | None] = Counter()


class WaitingRoomFull(Exception):
    """As many threads as may wait are waiting: what comes now is left to the worker, or told to come again."""


def enter_waiting_room(tenant_id: UUID | None, *, most: float = THREE_QUARTERS) -> bool:
    """Take a place, to be given back by `leave_waiting_room`; False if there is none, or if this tenant has `most` of them."""
    places = settings.FLEXGATE_WAITING_THREADS
    with _lock:
        if places and (_inside.total() >= places or _inside[tenant_id] >= max(1, int(places * most))):
            return False
        _inside[tenant_id] += 1
    return True


def leave_waiting_room(tenant_id: UUID | None) -> None:
    with _lock:
        _inside[tenant_id] -= 1
        if not _inside[tenant_id]:
            del _inside[tenant_id]


@contextmanager
def waiting_room(tenant_id: UUID | None, *, most: float = THREE_QUARTERS) -> Iterator[None]:
    """A place for the length of a block. WaitingRoomFull where there is none."""
    if not enter_waiting_room(tenant_id, most=most):
        raise WaitingRoomFull
    try:
        yield
    finally:
        leave_waiting_room(tenant_id)
