"""How many bodies may be read at once. A client that sends its body byte by byte holds a thread of the server for as long as it likes: only
the proxy in front can end that, because the server does not tell which connection a request came on, and to guess would cut other people's.
So each asker gets a few threads for it, and all of them together never get the last ones.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tenants.problems import Problem

PER_ASKER, TOGETHER = 8, 40  # of the 64 threads of a web process
PER_STRANGER, STRANGERS = 2, 16  # who has not signed in yet: by address, and all of them together
PATIENCE = 1.0  # a portal's burst is read by then
TOO_MANY = (
    "Too many request bodies are being sent at once and none of them ends. Send them faster, or one after another."
)
TOO_SHORT = "The body ended before its Content-Length."
_lock = threading.Lock()
_reading: Counter[str] = Counter()


def read_body(
    read: Callable[[], bytes],
    meta: Mapping[str, Any],
    asker: str,
    *,
    stranger: bool = False,
    patience: float = PATIENCE,
) -> bytes:
    """What `read` reads of the request that `meta` belongs to, whole.

    Problem `rate_limited` where `asker`, or everybody of its kind together, holds too many places for longer than `patience` seconds;
    `invalid` where the body ends before its Content-Length.
    """
    with _slot_within(patience, asker, stranger=stranger):
        raw = read()
    if len(raw) < int(meta.get("CONTENT_LENGTH") or 0):
        raise Problem("invalid", TOO_SHORT)
    return raw


@contextmanager
def _slot_within(patience: float, asker: str, *, stranger: bool) -> Iterator[None]:
    give_up_at = time.monotonic() + patience
    while True:
        try:
            with _slot(asker, stranger=stranger):
                yield
            return
        except _NoSlot:
            if time.monotonic() >= give_up_at:
                raise Problem("rate_limited", TOO_MANY, headers={"Retry-After": "5"}) from None
            time.sleep(0.05)


class _NoSlot(Exception):
    pass


@contextmanager
def _slot(asker: str, *, stranger: bool) -> Iterator[None]:
    own, all_of_them = (PER_STRANGER, STRANGERS) if stranger else (PER_ASKER, TOGETHER)
    kind = "stranger" if stranger else "known"
    asker = f"{kind} {asker}"
    with _lock:
        together = sum(number for name, number in _reading.items() if name.startswith(kind))
        if _reading[asker] >= own or together >= all_of_them:
            raise _NoSlot
        _reading[asker] += 1
    try:
        yield
    finally:
        with _lock:
            _reading[asker] -= 1
            if not _reading[asker]:
                del _reading[asker]
