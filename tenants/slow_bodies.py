"""Ends bodies that never end. The server has a time-out for headers and none for bodies, and a thread that waits for one can't be called off:
only its connection can be shut, which the server reads as the body's end.

The server doesn't tell which connection a request came on. So those of its peer are looked at twice, soon after the reading began and when
it is overdue: what has had something to answer all that time, and was answered with nothing, is what is shut. Only where the peer is the
client itself: behind FLEXGATE_PROXIES the connections are the proxy's, and so is this work. Needs Linux (/proc, TCP_INFO); elsewhere nothing is shut.
"""

import os
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from django.conf import settings

from tenants.addresses import neighbourhood

KNOWN_SECONDS = 30.0  # for a body of somebody known: a megabyte by a poor line
STRANGER_SECONDS = 10.0  # for a login
HURRIED_SECONDS = 2.0  # the same while other strangers wait for a place
FIRST_LOOK = 0.5  # most bodies are there by then, and nothing is looked at
TICK = 0.25
SLACK = 3.0  # between a request's first byte and the moment its body is asked for: sign-in, a place
FOLDER = Path("/proc/self/fd")
log = structlog.get_logger("flexgate.http")


@dataclass(eq=False, slots=True)
class _Reading:
    peer: str
    stranger: bool
    began: float = field(default_factory=time.monotonic)
    seen: "Mapping[int, int] | None" = None


@dataclass(frozen=True, slots=True)
class _Standing:
    """What the kernel knows of a connection: seconds since either side sent something, and how many packets with data we did."""

    since_received: float
    since_sent: float
    packets_sent: int


_lock = threading.Lock()
_readings: set[_Reading] = set()
_watcher: threading.Thread | None = None
_hurried_until = 0.0


@contextmanager
def bounded_reading(peer: str, *, stranger: bool) -> Iterator[None]:
    """Around the reading of a body that came from the address `peer`: when it takes too long, the body ends."""
    if settings.FLEXGATE_PROXIES or sys.platform != "linux":
        yield
        return
    reading = _Reading(peer, stranger)
    # No lock on the way of every body: sixty threads that queue for one would hold their places meanwhile. Each of these steps is one for
    # the interpreter.
    _readings.add(reading)
    if _watcher is None:
        _start_watcher()
    try:
        yield
    finally:
        _readings.discard(reading)


def hurry_strangers() -> None:
    """Somebody waits for the place of a stranger: who has had one for longer than a moment makes room."""
    global _hurried_until
    _hurried_until = time.monotonic() + 1


def _start_watcher() -> None:
    global _watcher
    with _lock:
        if _watcher is None:
            _watcher = threading.Thread(target=_watch, name="slow-bodies", daemon=True)
            _watcher.start()


def _watch() -> None:
    while True:
        time.sleep(TICK)
        for reading in list(_readings):
            try:
                _look_at(reading)
            except Exception:
                log.exception("a slow body could not be ended")


def _look_at(reading: _Reading) -> None:
    age = time.monotonic() - reading.began
    if age < FIRST_LOOK:
        return
    if reading.seen is None:
        reading.seen = {key: standing.packets_sent for key, _, standing in _unanswered(reading.peer, age)}
    if age < _longest(reading):
        return
    for key, connection, standing in _unanswered(reading.peer, age):
        if reading.seen.get(key) == standing.packets_sent:
            log.warning("a body did not end and was cut", address=reading.peer, seconds=round(age))
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)


def _longest(reading: _Reading) -> float:
    if not reading.stranger:
        return KNOWN_SECONDS
    return HURRIED_SECONDS if time.monotonic() < _hurried_until else STRANGER_SECONDS


def _unanswered(peer: str, age: float) -> Iterator[tuple[int, socket.socket, _Standing]]:
    """Connections from `peer` that the server took, on which something came since `age` seconds ago and nothing was sent; with the
    number of each. Closed again behind whoever looks."""
    ports = {found.getsockname()[1] for _, found in _sockets() if _listens(found)}
    for number, found in _sockets():
        try:
            came_from, came_to = found.getpeername()[0], found.getsockname()[1]
        except OSError:
            continue  # it listens, or is over
        if came_to not in ports or neighbourhood(came_from) != neighbourhood(peer):
            continue
        standing = _standing_of(found)
        if standing is None or standing.since_received > age + SLACK:
            continue
        if not standing.packets_sent or standing.since_sent > max(age - FIRST_LOOK, standing.since_received):
            yield number, found, standing


def _sockets() -> Iterator[tuple[int, socket.socket]]:
    """The TCP sockets of this process by their inodes, as duplicates: what is closed meanwhile is not taken for another."""
    for entry in FOLDER.iterdir():
        try:
            copy = os.dup(int(entry.name))
        except OSError:
            continue
        status = os.fstat(copy)
        if not stat.S_ISSOCK(status.st_mode):
            os.close(copy)
            continue
        with socket.socket(fileno=copy) as found:
            if found.family in {socket.AF_INET, socket.AF_INET6} and found.type == socket.SOCK_STREAM:
                yield status.st_ino, found


def _listens(found: socket.socket) -> bool:
    return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _standing_of(found: socket.socket) -> _Standing | None:
    """From struct tcp_info of linux/tcp.h; None for an older kernel than 4.6."""
    told = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    if len(told) < 160:
        return None
    (sent,), (received,), (packets,) = (struct.unpack_from("I", told, place) for place in (44, 52, 156))
    return _Standing(received / 1000, sent / 1000, packets)
