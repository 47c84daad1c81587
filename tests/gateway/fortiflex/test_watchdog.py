"""Deadlines of calls under way: cut in time, never too late, with one thread for all of them, in a forked process too."""

import os
import threading
import time
import warnings

from gateway.fortiflex.watchdog import WATCHDOG, Watchdog


def test_what_runs_too_long_is_cut_and_what_ended_never_is() -> None:
    dog, late, ended = Watchdog(), threading.Event(), threading.Event()
    with dog.running(0.05, ended.set):
        pass
    with dog.running(60, ended.set), dog.running(0.05, late.set):
        assert late.wait(5)
    with dog.running(0.2, late.set):
        assert not ended.wait(0.1)
    time.sleep(0.2)
    assert not ended.is_set()


def test_an_earlier_deadline_does_not_wait_for_a_later_one() -> None:
    dog, cut, began = Watchdog(), list[float](), time.monotonic()
    done = threading.Event()
    with dog.running(30, lambda: cut.append(30)), dog.running(0.3, done.set), dog.running(0.1, lambda: cut.append(0.1)):
        assert done.wait(5)
    assert cut == [0.1]
    assert time.monotonic() - began < 5


def test_one_thread_watches_however_many_calls_there_are() -> None:
    dog, before = Watchdog(), threading.active_count()
    for _ in range(200):
        with dog.running(60, lambda: None):
            pass
    assert threading.active_count() == before + 1


def test_a_forked_process_has_a_watchdog_too() -> None:
    with WATCHDOG.running(60, lambda: None), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        cut = threading.Event()
        with WATCHDOG.running(0.05, cut.set):
            os._exit(0 if cut.wait(10) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
