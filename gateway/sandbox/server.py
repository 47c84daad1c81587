"""The sandbox on a real socket, where faults are real too; and its control surface under /sandbox/."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gateway.sandbox.control import control
from gateway.sandbox.sandbox import Sandbox

HOLD_SECONDS = 300  # a time-out: longer than any client waits


class SandboxServer:
    """A running server. `api_url` is the v2 base, `auth_url` the whole token URL."""

    def __init__(self, sandbox: Sandbox, host: str, port: int) -> None:
        self.sandbox = sandbox
        self.closing = threading.Event()
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


def serve_sandbox(sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0) -> SandboxServer:
    """Serve in a thread of this process; port 0 = any free one."""
    return SandboxServer(sandbox, host, port)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: SandboxServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sandbox = self.owner.sandbox
        if self.path.startswith("/sandbox/"):
            self._send(*control(sandbox, self.path.removeprefix("/sandbox/"), body))
            return
        if sandbox.settings.latency_ms:
            time.sleep(sandbox.settings.latency_ms / 1000)
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = sandbox.handle(method=self.command, path=self.path, headers=headers, body=body)
        if reply.socket_fault is not None:
            self._break(reply.socket_fault)
        else:
            self._send(reply.http_status, reply.body, reply.headers["Content-Type"], announced=reply.cut_from)

    do_GET = do_PUT = do_DELETE = do_PATCH = do_POST

    def _break(self, kind: str) -> None:
        if kind == "timeout":
            self.owner.closing.wait(HOLD_SECONDS)
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
