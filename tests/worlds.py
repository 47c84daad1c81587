"""A small FortiFlex world behind the gateway's transport."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway import upstream
from gateway.credentials import ApiUserFields, save_api_user
from gateway.mirror import sync_api_user
from gateway.models import ApiUser, Config
from gateway.sandbox import Sandbox, SandboxSettings, SandboxTransport
from tenants.actors import system
from tenants.context import acting_as
from tenants.models import Tenant

PROGRAM, ACCOUNT = "ELAVMS0000000001", 100001
API_URL, AUTH_URL = "http://127.0.0.1:1/ES/api/fortiflex/v2", "http://127.0.0.1:1/api/v1/oauth/token/"
ENT_2, ENT_4 = [(1, "2"), (2, "ENT")], [(1, "4"), (2, "ENT")]
SETUP = system("set-up")


@dataclass(frozen=True, slots=True)
class SandboxWorld:
    """`config_id`: a catalogue FortiGate VM of 2 vCPU ENT (6.39 points a day) in the one account."""

    sandbox: Sandbox
    api_user: ApiUser
    config_id: int

    def sync(self) -> Any:
        return sync_api_user(self.api_user)

    def calls_of(self, path: str) -> list[Any]:
        """The sandbox's log of one path."""
        return [call for call in self.sandbox.calls if call.path == path]

    def give_config(self, config_id: int, slug: str | None) -> None:
        with acting_as(SETUP):
            tenant = Tenant.objects.get(slug=slug) if slug else None
            Config.objects.filter(id=config_id).update(tenant=tenant)

    def add_config(self, name: str, parameters: list[tuple[int, str]], *, product_type_id: int = 1) -> int:
        shown = self.sandbox.create_config(
            program=PROGRAM, name=name, product_type_id=product_type_id, parameters=parameters, account_id=ACCOUNT
        )
        return int(shown["id"])


def make_sandbox(now: datetime | None = None, **settings: Any) -> Sandbox:
    """One account, one postpaid program that began 200 days ago, one API user."""
    sandbox = Sandbox(now, SandboxSettings(**settings))
    day = sandbox.clock.today()
    sandbox.add_account(ACCOUNT)
    sandbox.add_program(PROGRAM, account_id=ACCOUNT, start=day - timedelta(days=200), end=day + timedelta(days=400))
    sandbox.add_api_user("user", "password")
    return sandbox


def make_world(now: datetime | None = None, *, sync: bool = True, **settings: Any) -> SandboxWorld:
    sandbox = make_sandbox(now, **settings)
    with sandbox.at(sandbox.clock.now() - timedelta(days=100)):
        config = sandbox.create_config(
            program=PROGRAM, name="fgt-2c-ent", product_type_id=1, parameters=ENT_2, account_id=ACCOUNT
        )
    upstream.install_transport(SandboxTransport(sandbox))
    api_user = add_api_user()
    world = SandboxWorld(sandbox, api_user, int(config["id"]))
    if sync:
        world.sync()
    return world


def add_api_user(name: str = "main", *, tenant: Tenant | None = None, **more: Any) -> ApiUser:
    """Wide limits: what is tested elsewhere must not slow the rest down."""
    limits = {"per_minute": 100_000, "per_hour": 1_000_000, "errors_per_hour": 10_000} | more
    fields = ApiUserFields(
        username="user", password="password", api_url=API_URL, auth_url=AUTH_URL, tenant=tenant, **limits
    )
    row, _ = save_api_user(SETUP, name=name, fields=fields)
    return row
