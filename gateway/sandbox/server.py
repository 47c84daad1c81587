"""The sandbox on a real socket, where faults are real too; and its control surface under /sandbox/."""

import socket
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gateway.sandbox.control import control
from gateway.sandbox.sandbox import Sandbox

HOLD_SECONDS = 300  # a time-out: longer than any client waits
LOOK_SECONDS = 0.05


class SandboxServer:
    """A running server. `api_url` is the v2 base, `auth_url` the whole token URL."""

    def __init__(self, sandbox: Sandbox, host: str, port: int) -> None:
        self.sandbox = sandbox
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._busy = 0
        self._hanging: dict[int, socket.socket] = {}
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = ThreadingHTTPServer((host, port), handler)
        self._http.daemon_threads = True
        self.url = f"http://{host}:{self._http.server_address[1]}"
        self.api_url = f"{self.url}/ES/api/fortiflex/v2"
        self.auth_url = f"{self.url}/api/v1/oauth/token/"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being handled: also what a killed client had sent is done by then, or was never sent."""
        with self._lock:
            return not self._busy

    def begin(self) -> datetime:
        """A request came in. Whoever waited in vain and has left is done with its call before this one begins."""
        with self._lock:
            self._busy += 1
            for number in [number for number, connection in self._hanging.items() if _has_left(connection)]:
                del self._hanging[number]
                self.sandbox.note_call(number, ended_at=self.sandbox.clock.now())
        return self.sandbox.clock.now()

    def finish(self) -> None:
        with self._lock:
            self._busy -= 1

    def hold(self, connection: socket.socket, number: int | None) -> None:
        """Let the caller wait, until it leaves or the server closes."""
        if number is not None:
            with self._lock:
                self._hanging[number] = connection
        ends_at = time.monotonic() + HOLD_SECONDS
        while time.monotonic() < ends_at and not _has_left(connection):
            if self.closing.wait(LOOK_SECONDS):
                break
        with self._lock:
            if number is not None and self._hanging.pop(number, None) is not None:
                self.sandbox.note_call(number, ended_at=self.sandbox.clock.now())


def _has_left(connection: socket.socket) -> bool:
    """Whether the other side has closed: a client that waits for an answer sends nothing more."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def serve_sandbox(sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0) -> SandboxServer:
    """Serve in a thread of this process; port 0 = any free one."""
    return SandboxServer(sandbox, host, port)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: in two, the second waits on a kept connection until the first is acknowledged, which takes 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True
    owner: SandboxServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sandbox = self.owner.sandbox
        if self.path.startswith("/sandbox/"):
            self._send(*control(sandbox, self.path.removeprefix("/sandbox/"), body))
            return
        began_at = self.owner.begin()
        try:
            if sandbox.settings.latency_ms:
                time.sleep(sandbox.settings.latency_ms / 1000)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = sandbox.handle(method=self.command, path=self.path, headers=headers, body=body)
            hangs = reply.socket_fault == "timeout"
            if reply.call is not None:  # told before the answer is: who has it may make the next call at once
                sandbox.note_call(reply.call, began_at=began_at, ended_at=None if hangs else sandbox.clock.now())
            if hangs:
                self.owner.hold(self.connection, reply.call)
            if reply.socket_fault is not None:
                self._break()
            else:
                self._send(reply.http_status, reply.body, reply.headers["Content-Type"], announced=reply.cut_from)
        finally:
            self.owner.finish()

    do_GET = do_PUT = do_DELETE = do_PATCH = do_POST

    def _break(self) -> None:
        self.close_connection = True
        # RST instead of an orderly end, as a crashed peer would.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.connection.close()

    def _send(
        self, http_status: int, body: bytes, content_type: str = "application/json", announced: int | None = None
    ) -> None:
        self.send_response(http_status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(announced or len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        if announced is not None:
            self.close_connection = True  # the rest never comes

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True  # the client left, or we cut it: nothing to tell anybody

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            return  # the socket was cut on purpose

    def log_message(self, format: str, *args: Any) -> None:
        """The sandbox keeps its own log (`calls`); stderr stays quiet."""
