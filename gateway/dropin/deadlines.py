"""Work that may take longer than a client waits: it goes on in a thread of its own when its request has to answer.

FortiFlex's Python samples give up after 20 seconds, so every answer is given within FLEXGATE_DROPIN_SECONDS.

Why these threads are not those of `provisioning.senders`: a verb that runs here waits there for its write. In one pool, as many verbs as it
has threads would each wait for a thread that only the end of another verb could free. And a sender is bounded by its call alone, while a
verb also waits for rows that others hold (an import of thousands keeps them for seconds), for which no time-out of a call is any help; the
answer has to leave all the same. Who has a thread here while nothing is sent takes none from the writes of REST.
"""

import contextvars
import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as OutOfTime
from typing import TypeVar

from django.conf import settings
from django.db import close_old_connections

T = TypeVar("T")


class NoPlace(Exception):
    """As many works are under way as may be: whoever comes now is told to come again."""


_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_under_way = 0

__all__ = ["NoPlace", "OutOfTime", "begin", "seconds_until"]


def begin(work: Callable[[], T]) -> "Future[T]":
    """Start `work`, with the request's id and address. NoPlace where FLEXGATE_WAITING_THREADS are under way: nothing queues here.

    With FLEXGATE_WAITING_THREADS=0 the caller's own thread does it, to its end.
    """
    if not settings.FLEXGATE_WAITING_THREADS:
        return _do_here(work)
    _take_place()
    return _threads().submit(contextvars.copy_context().run, functools.partial(_do_there, work))


def seconds_until(moment: float) -> float:
    """Seconds from now to a `time.monotonic()`; 0 once it is over."""
    return max(0.0, moment - time.monotonic())


def _do_here(work: Callable[[], T]) -> "Future[T]":
    done: Future[T] = Future()
    try:
        done.set_result(work())
    except Exception as error:  # noqa: BLE001 - the future hands it to whoever asks for the result
        done.set_exception(error)
    return done


def _do_there(work: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()
        _give_place_back()


def _take_place() -> None:
    global _under_way
    with _lock:
        if _under_way >= settings.FLEXGATE_WAITING_THREADS:
            raise NoPlace
        _under_way += 1


def _give_place_back() -> None:
    global _under_way
    with _lock:
        _under_way -= 1


def _threads() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(settings.FLEXGATE_WAITING_THREADS, thread_name_prefix="dropin")
        return _pool
