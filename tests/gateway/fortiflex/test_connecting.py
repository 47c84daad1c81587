"""Connections for single use: one that was made ahead is used by the next call, one that may be dead by none."""

import contextlib
import datetime
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.fortiflex import spares
from gateway.fortiflex.connecting import FreshConnections
from gateway.fortiflex.errors import NotSent, OutcomeUnknown
from gateway.fortiflex.exchanging import exchange

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Peer:
    """A server that notes when it was connected to, and when each connection was first asked for something."""

    url: str
    accepted: list[float] = field(default_factory=list)
    asked: list[tuple[int, float]] = field(default_factory=list)
    open_now: set[socket.socket] = field(default_factory=set)
    answers_after: float = 0.1

    def wait_for(self, number: int) -> None:
        ends_at = time.monotonic() + 5
        while len(self.accepted) < number and time.monotonic() < ends_at:
            time.sleep(0.01)
        assert len(self.accepted) == number

    def hang_up(self) -> None:
        for connection in list(self.open_now):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        time.sleep(0.05)


@contextlib.contextmanager
def serve(context: ssl.SSLContext | None = None) -> Iterator[Peer]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    peer = Peer(f"http{'s' if context else ''}://localhost:{listener.getsockname()[1]}/x")
    ended, threads = threading.Event(), list[threading.Thread]()

    def talk(number: int, plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection = context.wrap_socket(plain, server_side=True) if context else plain
            with connection:
                peer.open_now.add(connection)
                if connection.recv(65536):
                    peer.asked.append((number, time.monotonic()))
                    time.sleep(peer.answers_after)
                    connection.sendall(ANSWER)
                peer.open_now.discard(connection)

    def accept() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                connection.settimeout(10)
                threads.append(threading.Thread(target=talk, args=(len(peer.accepted), connection)))
                peer.accepted.append(time.monotonic())
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield peer
    finally:
        ended.set()
        accepting.join()
        for thread in threads:
            thread.join()
        listener.close()


def call(transport: httpx.BaseTransport, peer: Peer, *, seconds: float = 5) -> None:
    made, _ = exchange(transport, peer.url, path="x", body=b"{}", headers={}, seconds=seconds)
    assert (made.http_status, made.body) == (200, b"{}")


def test_in_a_burst_the_next_connection_is_made_while_a_call_waits() -> None:
    with serve() as peer, FreshConnections() as transport:
        call(transport, peer)
        assert len(peer.accepted) == 1, "one call alone makes one connection"
        call(transport, peer)
        peer.wait_for(3)
        assert peer.accepted[2] < peer.asked[1][1] + peer.answers_after, "while the second waited"
        call(transport, peer)
        assert [number for number, _ in peer.asked] == [0, 1, 2], "it was used by the third"
        peer.wait_for(4)
        call(transport, peer)
        assert [number for number, _ in peer.asked] == [0, 1, 2, 3], "and none is used twice"


def test_what_the_other_side_has_closed_is_not_used() -> None:
    with serve() as peer, FreshConnections() as transport:
        call(transport, peer)
        call(transport, peer)
        peer.wait_for(3)
        peer.hang_up()
        call(transport, peer)
        assert [number for number, _ in peer.asked] == [0, 1, 3]


def test_a_spare_is_not_used_for_long_and_then_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spares, "LONGEST_SPARE", 0.3)
    with serve() as peer, FreshConnections() as transport:
        call(transport, peer)
        call(transport, peer)
        peer.wait_for(3)
        time.sleep(0.35)
        call(transport, peer)
        assert [number for number, _ in peer.asked] == [0, 1, 3]
        peer.wait_for(5)
        ends_at = time.monotonic() + 5
        while (peer.open_now or transport._spares._thread) and time.monotonic() < ends_at:
            time.sleep(0.02)
        assert not peer.open_now
        assert transport._spares._thread is None, "nobody calls"


def test_a_spare_is_bound_to_the_deadline_like_every_other() -> None:
    with serve() as peer, FreshConnections() as transport:
        call(transport, peer)
        call(transport, peer)
        peer.wait_for(3)
        peer.answers_after = 2
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            call(transport, peer, seconds=0.3)
        assert time.monotonic() - began < 1.5


def test_where_nobody_listens_nothing_is_sent_and_nothing_is_kept() -> None:
    with serve() as peer:
        pass
    with FreshConnections() as transport:
        for _ in range(3):
            with pytest.raises(NotSent):
                call(transport, peer)
            time.sleep(0.05)


def test_other_schemes_are_not_sent() -> None:
    with FreshConnections() as transport, pytest.raises(NotSent):
        exchange(transport, "ftp://localhost/x", path="x", body=b"", headers={}, seconds=1)


def test_a_spare_has_its_tls_already(tmp_path: Path) -> None:
    context = self_signed(tmp_path)
    with serve(context) as peer, FreshConnections() as transport:
        with pytest.raises(NotSent):
            call(transport, peer)  # nobody vouches for that certificate
        transport._ssl_context.load_verify_locations(tmp_path / "certificate.pem")
        for _ in range(4):
            call(transport, peer)
            time.sleep(0.1)
        assert len(peer.asked) == 4
        number, _ = peer.asked[-1]
        _, before = peer.asked[-2]
        assert peer.accepted[number] < before + peer.answers_after, "made while the call before it waited"


@pytest.mark.parametrize("farewell", ["end", "close_notify"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_spare_with_tls_that_was_closed_is_not_used(tmp_path: Path, version: ssl.TLSVersion, farewell: str) -> None:
    """Behind what TLS says by itself after the handshake the end is not seen by a look at the socket."""
    context = self_signed(tmp_path)
    context.maximum_version = version
    with serve(context) as peer, trusting(tmp_path) as transport:
        call(transport, peer)
        call(transport, peer)
        peer.wait_for(3)
        time.sleep(0.1)
        for connection in list(peer.open_now):
            if farewell == "close_notify":
                connection.settimeout(0.1)
                with contextlib.suppress(OSError):
                    connection.unwrap()  # type: ignore[attr-defined]
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        time.sleep(0.1)
        call(transport, peer)
        assert [number for number, _ in peer.asked] == [0, 1, 3]


def test_what_was_said_before_it_was_asked_is_no_answer() -> None:
    """As a balancer says 408 to who is silent for too long."""
    with serve() as peer, FreshConnections() as transport:
        call(transport, peer)
        call(transport, peer)
        peer.wait_for(3)
        time.sleep(0.05)
        (spare,) = peer.open_now
        spare.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale")
        time.sleep(0.05)
        call(transport, peer)


def test_a_hundred_threads_share_no_connection() -> None:
    with serve() as peer, FreshConnections() as transport:
        peer.answers_after = 0.02
        with ThreadPoolExecutor(100) as pool:
            list(pool.map(lambda _: call(transport, peer, seconds=30), range(300)))
        numbers = [number for number, _ in peer.asked]
        assert len(numbers) == len(set(numbers)) == 300
        assert len(transport._spares._wanted) <= 1, "nothing piles up"


def test_after_a_fork_spares_stay_with_the_parent() -> None:
    place = (b"http", b"localhost", 1)
    left, right = socket.socketpair()
    with left, right, FreshConnections() as transport:
        spare = httpcore.MockStream([])
        transport._spares._spares[place] = spares._Spare(spare, time.monotonic())
        reading, writing = os.pipe()
        with transport._spares._news:  # as another thread may hold it this moment
            child = os.fork()
            if child == 0:
                signal.alarm(5)  # it would wait for ever
                os.write(writing, b"theirs" if transport._spares.take(place) is not None else b"none")
                os._exit(0)
        os.waitpid(child, 0)
        os.close(writing)
        assert os.read(reading, 10) == b"none"
        os.close(reading)


def test_a_thread_that_is_gone_is_replaced_and_one_that_can_not_be_had_is_not_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serve() as peer, FreshConnections() as transport:
        gone = threading.Thread(target=lambda: None)
        gone.start()
        gone.join()
        transport._spares._thread = gone
        call(transport, peer)
        with monkeypatch.context() as full:

            def refuse(thread: threading.Thread) -> None:
                raise RuntimeError("can't start new thread")

            full.setattr(spares.threading.Thread, "start", refuse)
            transport._spares.take(place_of(peer))
        call(transport, peer)
        peer.wait_for(3)


@pytest.mark.parametrize(
    "at",
    [
        "connection.connect_tcp.started",
        "connection.start_tls.started",
        "http11.send_request_headers.started",
        "http11.response_closed.started",
    ],
)
def test_nothing_stays_open_wherever_the_time_is_up(tmp_path: Path, at: str) -> None:
    def watch(event: str, info: Any) -> None:
        if event == at:
            raise TimeoutError

    with serve(self_signed(tmp_path)) as peer, trusting(tmp_path) as transport:
        call(transport, peer)
        call(transport, peer)
        peer.wait_for(3)
        time.sleep(0.1)
        (spare,) = transport._spares._spares.values()
        plain = spare.stream.get_extra_info("socket")
        request = httpx.Request("POST", peer.url, content=b"{}", extensions={"trace": watch})
        with pytest.raises(TimeoutError), contextlib.closing(transport.handle_request(request)) as answer:
            answer.read()
        assert plain.fileno() == -1


def place_of(peer: Peer) -> spares.Place:
    url = httpx.URL(peer.url)
    return url.raw_scheme, url.raw_host, url.port or 0


@contextlib.contextmanager
def trusting(folder: Path) -> Iterator[FreshConnections]:
    with FreshConnections() as transport:
        transport._ssl_context.load_verify_locations(folder / "certificate.pem")
        yield transport


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
