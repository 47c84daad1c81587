"""A whole customer's world on loopback: a sandbox on a socket, the gateway on another, and people with tokens.

The gateway runs in threads of the test's own process, with real commits and its own senders; test_clients starts it as `serve` does.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from socketserver import ThreadingMixIn
from types import ModuleType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import httpx
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.test import override_settings

from gateway.dropin import deadlines
from gateway.models import Config, ConfigOffer, Operation
from gateway.provisioning import senders
from gateway.reconciliation import reconcile_operations
from gateway.sandbox import SandboxServer, serve_sandbox
from tenants import clock
from tenants.context import acting_as
from tests.end_to_end.processes import add_user_of
from tests.gateway.dropin.clients import credentials
from tests.people import SETUP, ApiClient, People, make_people
from tests.worlds import ACCOUNT, ENT_2, PROGRAM, make_sandbox

ANSWER_SECONDS = 4  # instead of 14: the tests wait for it often


@dataclass
class Stand:
    """`base` is the gateway's URL; `config` a catalogue config offered to acme and globex."""

    base: str
    server: SandboxServer
    people: People
    config: int

    @property
    def api_url(self) -> str:
        return f"{self.base}/ES/api/fortiflex/v2"

    @property
    def auth_url(self) -> str:
        return f"{self.base}/api/v1/oauth/token/"

    def access_token(self, person: ApiClient) -> str:
        body = credentials(person) | {"client_id": "flexvm", "grant_type": "password"}
        return str(httpx.post(self.auth_url, json=body, timeout=20).json()["access_token"])

    def made(self) -> list[str]:
        """The serials that exist upstream."""
        return [row["serialNumber"] for row in self.server.sandbox.entitlements()]

    def sent(self, path: str) -> int:
        return sum(1 for call in self.server.sandbox.calls if call.path == path)

    @staticmethod
    def reconcile() -> None:
        """What the worker does when an unknown outcome is due."""
        reconcile_operations(everything=True)

    @staticmethod
    def operations() -> list[Operation]:
        with acting_as(SETUP):
            return list(Operation.objects.order_by("id"))


@contextmanager
def stand_up(*, waiting_threads: int = 16) -> Iterator[Stand]:
    """In the test's own database."""
    with sandbox_with_people() as (server, people, config), serve_gateway(waiting_threads) as base:
        try:
            yield Stand(base, server, people, config)
        finally:
            server.closing.set()  # a call that hangs ends now, or its thread would be waited for


@contextmanager
def sandbox_with_people() -> Iterator[tuple[SandboxServer, People, int]]:
    sandbox = make_sandbox()
    with sandbox.at(clock.now() - timedelta(days=1)):
        shown = sandbox.create_config(
            program=PROGRAM, name="fgt-2c-ent", product_type_id=1, parameters=ENT_2, account_id=ACCOUNT
        )
    server = serve_sandbox(sandbox)
    try:
        people = make_people()
        add_user_of(server)
        with acting_as(SETUP):
            config = Config.objects.get(id=shown["id"])
            for slug in ("acme", "globex"):
                ConfigOffer.objects.create(config=config, tenant=people.tenant(slug))
        yield server, people, config.id
    finally:
        server.close()


@contextmanager
def serve_gateway(waiting_threads: int) -> Iterator[str]:
    with override_settings(FLEXGATE_WAITING_THREADS=waiting_threads, FLEXGATE_DROPIN_SECONDS=ANSWER_SECONDS):
        server = _Server(("127.0.0.1", 0), _Handler)
        server.set_app(get_wsgi_application())
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
            for module in (deadlines, senders):
                _end_threads(module)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = False  # server_close waits for those who still answer
    request_queue_size = 64

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            connections.close_all()


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """The gateway writes its own log."""


def _end_threads(module: ModuleType) -> None:
    """The module's threads, each with its connection closed: the next test has another database."""
    pool: ThreadPoolExecutor | None = module._pool
    if pool is None:
        return
    module._pool = None
    closed, all_closed = set[int | None](), threading.Event()

    def close() -> None:
        connections.close_all()
        closed.add(threading.get_ident())
        all_closed.wait(settings.FLEXGATE_DROPIN_SECONDS + 60)  # so that the next one comes to another thread

    # Not as many as there are threads: the pool starts another one where the last work is done and its thread not back yet.
    while {thread.ident for thread in pool._threads} - closed:
        pool.submit(close)
        time.sleep(0.01)
    all_closed.set()
    pool.shutdown()
