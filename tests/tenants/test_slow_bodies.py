"""Which connections are shut when a body doesn't end: those that keep us waiting, and none of the same caller's others."""

import socket
import threading
import time
from contextlib import ExitStack
from typing import Any

from tenants.slow_bodies import HURRIED_SECONDS, bounded_reading, hurry_strangers

HOME, ELSEWHERE = "127.0.0.1", "127.0.0.9"
HEAD = b"POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n"


class Server:
    """Accepts by hand; `ends` are the two sides of each connection by its name."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.listening = stack.enter_context(socket.create_server((HOME, 0)))
        self.ends: dict[str, tuple[socket.socket, socket.socket]] = {}

    def connect(self, name: str, *, by: str = HOME) -> None:
        client = socket.create_connection(self.listening.getsockname(), source_address=(by, 0))
        accepted, _ = self.listening.accept()
        self.ends[name] = (self.stack.enter_context(client), self.stack.enter_context(accepted))

    def send(self, name: str, data: bytes = HEAD) -> None:
        self.ends[name][0].sendall(data)
        self.ends[name][1].recv(1000)

    def answer(self, name: str) -> None:
        self.ends[name][1].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.ends[name][0].recv(1000)

    def shut(self) -> set[str]:
        """The names of those whose reading side has ended."""
        time.sleep(0.5)
        ended = set()
        for name, (_, accepted) in self.ends.items():
            accepted.setblocking(False)
            try:
                while accepted.recv(1000):
                    pass
                ended.add(name)
            except BlockingIOError:
                pass
        return ended


def read_until_shut(server: Server, name: str, *, dribble: str) -> float:
    """Read the body of `name`, while the client of `dribble` sends a byte now and then; how long it took."""
    over = threading.Event()

    def send_bytes() -> None:
        while not over.wait(0.2):
            server.ends[dribble][0].sendall(b"a")

    dribbler = threading.Thread(target=send_bytes)
    began = time.monotonic()
    dribbler.start()
    try:
        with bounded_reading(HOME, stranger=True):
            server.ends[name][1].settimeout(0.2)
            while time.monotonic() - began < 3 * HURRIED_SECONDS:
                hurry_strangers()
                try:
                    if server.ends[name][1].recv(1000) == b"":
                        break
                except TimeoutError:
                    continue
        return time.monotonic() - began
    finally:
        over.set()
        dribbler.join()


def test_the_silent_and_the_dribbling_are_cut_and_no_other_connection() -> None:
    with ExitStack() as stack:
        server = Server(stack)
        for name in ("silent", "dribbling", "idle", "comes back", "kept"):
            server.connect(name)
        server.connect("of somebody else", by=ELSEWHERE)
        server.connect("at work")
        server.send("at work")
        for name in ("idle", "comes back", "kept"):
            server.send(name)
            server.answer(name)
        time.sleep(4)  # longer than a request may have been here before its body is asked for
        for name in ("silent", "dribbling", "kept", "of somebody else"):
            server.send(name)
        threading.Timer(1, server.send, ["comes back"]).start()
        took = read_until_shut(server, "silent", dribble="dribbling")
        assert HURRIED_SECONDS <= took < HURRIED_SECONDS + 2
        assert server.shut() == {"silent", "dribbling", "kept"}


def test_behind_a_proxy_nothing_is_cut(settings: Any) -> None:
    """There the connections are the proxy's, and carry other people's requests."""
    settings.FLEXGATE_PROXIES = 1
    with ExitStack() as stack:
        server = Server(stack)
        server.connect("silent")
        server.connect("dribbling")
        server.send("silent")
        read_until_shut(server, "silent", dribble="dribbling")
        assert server.shut() == set()
