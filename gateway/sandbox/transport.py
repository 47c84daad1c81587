"""The sandbox behind an httpx transport: faults become the exceptions that a real socket would give."""

import time

import httpx

from gateway.sandbox.sandbox import Sandbox


class SandboxTransport(httpx.BaseTransport):
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._sandbox.settings.latency_ms:
            time.sleep(self._sandbox.settings.latency_ms / 1000)
        reply = self._sandbox.handle(
            method=request.method, path=request.url.path, headers=request.headers, body=request.read()
        )
        if reply.socket_fault == "refuse":
            raise httpx.ConnectError("The sandbox refuses the connection.", request=request)
        if reply.socket_fault == "timeout":
            raise httpx.ReadTimeout("The sandbox does not answer.", request=request)
        if reply.socket_fault == "cut":
            raise httpx.RemoteProtocolError("The sandbox cut the connection.", request=request)
        return httpx.Response(reply.http_status, headers=reply.headers, content=reply.body, request=request)
