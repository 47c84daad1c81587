"""Deadlines of calls under way, watched by one thread: to start one for every call cost more than the call's own work."""

import contextlib
import heapq
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

log = logging.getLogger("flexgate.fortiflex")


@dataclass(order=True, slots=True)
class _Watch:
    at: float
    number: int
    cut: Callable[[], None] | None = field(compare=False)


class Watchdog:
    """Calls back what is still running when its time is up. Its thread is a daemon, and is started again where it is gone (after a fork)."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: list[_Watch] = []
        self._thread: threading.Thread | None = None
        self._number = 0

    @contextlib.contextmanager
    def running(self, seconds: float, cut: Callable[[], None]) -> Iterator[None]:
        """`cut` is called, in the watchdog's thread, if the block lasts longer than `seconds`; never after it has ended."""
        watch = self._add(time.monotonic() + seconds, cut)
        try:
            yield
        finally:
            with self._changed:
                watch.cut = None  # it stays in the heap until its time; nobody is woken for it

    def _add(self, at: float, cut: Callable[[], None]) -> _Watch:
        with self._changed:
            self._number += 1
            watch = _Watch(at, self._number, cut)
            heapq.heappush(self._watches, watch)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="deadlines", daemon=True)
                self._thread.start()
            elif self._watches[0] is watch:
                self._changed.notify()
        return watch

    @staticmethod
    def _try(cut: Callable[[], None]) -> None:
        """Whatever goes wrong with one, the others are watched on."""
        try:
            cut()
        except Exception:
            log.exception("a call could not be cut")

    def _watch(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                while self._watches and (self._watches[0].cut is None or self._watches[0].at <= now):
                    cut = heapq.heappop(self._watches).cut
                    if cut is not None:
                        self._try(cut)
                self._changed.wait(self._watches[0].at - now if self._watches else None)


WATCHDOG = Watchdog()
os.register_at_fork(after_in_child=WATCHDOG.__init__)  # type: ignore[misc]
