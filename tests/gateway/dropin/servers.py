"""A whole customer's world on loopback: a sandbox on a socket, a web process as `serve` starts it, and people with tokens."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx

from gateway.models import Config, ConfigOffer, Operation
from gateway.reconciliation import reconcile_operations
from gateway.sandbox import SandboxServer, serve_sandbox
from tenants import clock
from tenants.context import acting_as
from tests.databases import OwnDatabase
from tests.end_to_end.processes import add_user_of
from tests.end_to_end.test_walls import web
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
def stand_up(database: OwnDatabase, log: Path, *, waiting_threads: int = 16) -> Iterator[Stand]:
    sandbox = make_sandbox()
    with sandbox.at(clock.now() - timedelta(days=1)):
        shown = sandbox.create_config(
            program=PROGRAM, name="fgt-2c-ent", product_type_id=1, parameters=ENT_2, account_id=ACCOUNT
        )
    server = serve_sandbox(sandbox)
    people = make_people()
    add_user_of(server)
    with acting_as(SETUP):
        config = Config.objects.get(id=shown["id"])
        for slug in ("acme", "globex"):
            ConfigOffer.objects.create(config=config, tenant=people.tenant(slug))
    environment = database.environment | {
        "FLEXGATE_WAITING_THREADS": str(waiting_threads),
        "FLEXGATE_DROPIN_SECONDS": str(ANSWER_SECONDS),
    }
    try:
        with web(OwnDatabase(database.name, environment), log) as base:
            try:
                yield Stand(base, server, people, int(shown["id"]))
            finally:
                server.closing.set()  # a call that hangs ends now, or the web process would wait for it
    finally:
        server.close()
