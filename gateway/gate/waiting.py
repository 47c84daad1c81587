"""How many threads of a process may wait for FortiFlex: a hanging one must not take the threads that answer from the mirror."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

_lock = threading.Lock()
_inside = 0


class WaitingRoomFull(Exception):
    """As many threads as may wait are waiting: what comes now is left to the worker, or told to come again."""


def enter_waiting_room() -> bool:
    """Take a place, to be given back by `leave_waiting_room`; False if there is none."""
    global _inside
    with _lock:
        if settings.FLEXGATE_WAITING_THREADS and _inside >= settings.FLEXGATE_WAITING_THREADS:
            return False
        _inside += 1
    return True


def leave_waiting_room() -> None:
    global _inside
    with _lock:
        _inside -= 1


@contextmanager
def waiting_room() -> Iterator[None]:
    """A place for the length of a block. WaitingRoomFull where there is none."""
    if not enter_waiting_room():
        raise WaitingRoomFull
    try:
        yield
    finally:
        leave_waiting_room()
