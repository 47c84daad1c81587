"""The three people of every test, and the operator, each as an API client."""

from dataclasses import dataclass
from typing import Any

from django.test import Client

from tenants.actors import Actor, system
from tenants.authentication import actor_of
from tenants.bodies import dump_json
from tenants.context import acting_as
from tenants.directory import create_tenant
from tenants.models import Tenant, Token
from tenants.tokens import issue_token

SETUP = system("set-up")
TAX = {"tax": {"category": "S", "rate": "19.00"}}


class ApiClient:
    """JSON in, JSON out, with a bearer token. `get("entitlements")` asks /api/v1/entitlements."""

    def __init__(self, token: str | None, row: Token | None = None) -> None:
        self.token, self.row = token, row
        self._client = Client()

    @property
    def actor(self) -> Actor:
        assert self.row is not None
        return actor_of(self.row)

    def get(self, path: str, **headers: str) -> Any:
        return self.send("GET", path, None, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("POST", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.send("DELETE", path, None, **headers)

    def send(self, method: str, path: str, body: Any, **headers: str) -> Any:
        """`body`: bytes go as they are, a text as CSV, anything else as JSON."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            given.setdefault("Authorization", f"Bearer {self.token}")
        kind = "text/csv" if isinstance(body, str) else "application/json"
        raw = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else dump_json(body)
        raw = b"" if body is None else raw
        full = path if path.startswith("/") else f"/api/v1/{path}"
        return self._client.generic(method, full, data=raw, content_type=kind, headers=given)


@dataclass(frozen=True, slots=True)
class People:
    operator: ApiClient
    acme: ApiClient
    acme_restricted: ApiClient
    globex: ApiClient
    nobody: ApiClient

    @staticmethod
    def tenant(slug: str) -> Tenant:
        with acting_as(SETUP):
            return Tenant.objects.get(slug=slug)


def make_client(*, slug: str | None, scopes: list[str] | None = None, **more: Any) -> ApiClient:
    with acting_as(SETUP):
        tenant = Tenant.objects.get(slug=slug) if slug else None
    issued = issue_token(SETUP, name="test", tenant=tenant, scopes=scopes, **more)
    return ApiClient(issued.text, issued.row)


def make_people() -> People:
    for slug, name in (("acme", "Acme GmbH"), ("globex", "Globex Corp")):
        create_tenant(SETUP, slug=slug, name=name, currency="EUR", billing_profile=TAX)
    return People(
        operator=make_client(slug=None),
        acme=make_client(slug="acme"),
        acme_restricted=make_client(slug="acme", scopes=["entitlements:read"]),
        globex=make_client(slug="globex"),
        nobody=ApiClient(None),
    )
