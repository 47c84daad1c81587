"""The connection of the next call, made while the one before waits for its answer: a burst pays for names, TCP and TLS once, and not in the lane.

A spare was never used, and only for a moment nobody's: the other side has no more reason to close it than one that is made right now.
"""

import contextlib
import logging
import os
import ssl
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import httpcore

BURST = 5.0  # seconds: who called that lately will most likely call again
LONGEST_SPARE = 2.0  # seconds; servers wait longer than that for the first request
AFTER = 0.02  # seconds: the call itself goes first
Place = tuple[bytes, bytes, int]  # scheme, host, port
log = logging.getLogger("flexgate.fortiflex")


@dataclass(slots=True)
class _Spare:
    stream: httpcore.NetworkStream
    made_at: float

    def is_young(self) -> bool:
        return time.monotonic() - self.made_at <= LONGEST_SPARE


class Spares:
    """At most one for each place. Its thread is a daemon and lives while there is something to make or to close."""

    def __init__(self, open_stream: Callable[[Place], httpcore.NetworkStream]) -> None:
        self._open = open_stream
        self._news = threading.Condition()
        self._spares: dict[Place, _Spare] = {}
        self._called_at: dict[Place, float] = {}
        self._wanted: dict[Place, None] = {}  # each once, the first one first
        self._thread: threading.Thread | None = None
        self._closed = False
        _all.add(self)

    def take(self, place: Place) -> httpcore.NetworkStream | None:
        """A connection to `place`, the caller's from now on; None = there is none. In a burst the next is made soon afterwards."""
        now = time.monotonic()
        with self._news:
            spare, last = self._spares.pop(place, None), self._called_at.get(place, now - BURST - 1)
            self._called_at[place] = now
            if now - last <= BURST and not self._closed:
                self._wanted[place] = None
                self._news.notify()
                self._see_to_thread()
        if spare is None:
            return None
        if spare.is_young() and _is_untouched(spare.stream):
            return spare.stream
        _close(spare.stream)
        return None

    def close(self) -> None:
        """For good: nothing is made from now on."""
        with self._news:
            self._closed = True
        self._drop(lambda spare: True)

    def _see_to_thread(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        thread = threading.Thread(target=self._work, name="spare connections", daemon=True)
        with contextlib.suppress(RuntimeError):  # where there is none to be had, every call connects by itself
            thread.start()
            self._thread = thread

    def _drop(self, which: Callable[[_Spare], bool]) -> None:
        with self._news:
            dropped = [place for place, spare in self._spares.items() if which(spare)]
            streams = [self._spares.pop(place).stream for place in dropped]
        for stream in streams:
            _close(stream)

    def _work(self) -> None:
        while True:
            with self._news:
                if not self._wanted:
                    self._news.wait(LONGEST_SPARE)
                place = next(iter(self._wanted), None)
                if place is None and not self._spares:
                    self._thread = None
                    return
            self._drop(lambda spare: not spare.is_young())
            if place is not None:
                time.sleep(AFTER)
                self._make(place)

    def _make(self, place: Place) -> None:
        with self._news:
            self._wanted.pop(place, None)
            if place in self._spares or time.monotonic() - self._called_at[place] > BURST:
                return
        try:
            spare = _Spare(self._open(place), time.monotonic())
        except Exception as error:  # noqa: BLE001 - the call that wants one connects by itself, and says what is wrong
            log.debug("no spare connection: %s", error)
            return
        with self._news:
            if not self._closed:
                self._spares[place] = spare
                return
        _close(spare.stream)


def _is_untouched(stream: httpcore.NetworkStream) -> bool:
    """Whether the other side has neither closed it nor said anything: what is said before it is asked is no answer.

    Read through TLS, whose tickets lie before the end that they would hide.
    """
    plain = stream.get_extra_info("socket")
    try:
        plain.settimeout(0)
        plain.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False


def _close(stream: httpcore.NetworkStream) -> None:
    with contextlib.suppress(OSError):
        stream.close()


_all = weakref.WeakSet[Spares]()


def _forget_all() -> None:
    """In a forked child: the connections are the parent's, and its threads are not here."""
    for spares in list(_all):
        spares.__init__(spares._open)  # type: ignore[misc]


os.register_at_fork(after_in_child=_forget_all)
