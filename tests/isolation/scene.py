"""One world with everything in it: acme's configs, entitlements, operations, tokens and statement; and everybody who might ask for them.

Acme's serial was initech's until 20 August 2026; globex is the stranger. Nothing is committed twice: each request is rolled back.
"""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import httpx
from django.contrib.auth.models import User
from django.db import transaction

from billing.statements import issue_statements
from gateway import upstream
from gateway.reconciliation import reconcile_operations
from gateway.sandbox import Sandbox, SandboxTransport
from tenants.access import RIGHTS, grant_right
from tenants.actors import AUTHENTICATOR
from tenants.context import acting_as
from tenants.directory import create_tenant
from tenants.sealing import seal_audit, seal_events
from tests.billing.test_golden_month import live_august, price
from tests.gateway.ledger.scenes import give, noon_of, pull
from tests.people import SETUP, TAX, ApiClient, People, make_client, make_people
from tests.worlds import ENT_2, PROGRAM, SandboxWorld

TODAY = date(2026, 9, 4)
READ_ALL = [
    "programs:read",
    "configs:read",
    "entitlements:read",
    "consumption:read",
    "estimates:read",
    "operations:read",
    "statements:read",
    "exports:read",
    "budgets:read",
    "events:read",
    "audit:read",
]


class StaffClient(ApiClient):
    """A person signed in to the admin, using the API with the session cookie."""

    def __init__(self, user: User) -> None:
        super().__init__(None)
        with acting_as(AUTHENTICATOR):
            self._client.force_login(user, backend="tenants.staff.StaffBackend")


class CopiedWhenCalled(SandboxTransport):
    """`before` = the sandbox as it was before the first call; most requests never get as far, and a copy takes longer than they do."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self.before = sandbox

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.before is self._sandbox:
            lock = self._sandbox._state.lock
            self.before = copy.deepcopy(self._sandbox, {id(lock): lock})  # a lock has no copy
        return super().handle_request(request)


@dataclass(slots=True)
class Scene:
    """`ids` are acme's, by what the table of rules calls them; `marks` are texts that nobody but acme and the operator may ever read."""

    people: People
    world: SandboxWorld
    who: dict[str, ApiClient]
    ids: dict[str, Any]
    marks: list[str] = field(default_factory=list)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Whatever happens in here has not happened afterwards, upstream included."""
        network = CopiedWhenCalled(self.world.sandbox)
        upstream.install_transport(network)
        with transaction.atomic():
            yield
            transaction.set_rollback(True)
        object.__setattr__(self.world, "sandbox", network.before)
        upstream.install_transport(SandboxTransport(network.before))

    def ask(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        with self.undone():
            answer = self.who[who].send(method, path, body, **headers)
            answer.calls = len(self.world.sandbox.calls)
        return answer


def build_scene() -> Scene:
    people = make_people()
    create_tenant(SETUP, slug="initech", name="Initech Ltd", currency="EUR", billing_profile=TAX)
    price("initech", "0.05", date(2026, 8, 1))
    world, kept, _, shared = live_august(people)
    with noon_of(date(2026, 8, 20)):
        give([shared], "initech", date(2026, 8, 1))
        give([shared], "acme", date(2026, 8, 20))
        reconcile_operations()  # its new licence token
    with noon_of(date(2026, 9, 4)):
        pull(world)
        report = issue_statements(SETUP, month="2026-08")
        ids, marks = _make_things(people, world, shared)
        seal_events()
        seal_audit()
        ids |= {"serial": shared, "named": kept, "number": report.issued["acme"]}
        ids["line"] = people.acme.get(f"statements/{ids['number']}").json()["lines"][0]["id"]
        who = _make_everybody(people, kept)
    marks += [kept, "acme", "Acme", ids["number"], str(ids["line"]), str(ids["token"]), str(ids["operation"])]
    return Scene(people, world, who, ids, marks)


def _make_things(people: People, world: SandboxWorld, serial: str) -> tuple[dict[str, Any], list[str]]:
    made = people.acme.post(
        "configs",
        {
            "program": PROGRAM,
            "name": "quite-secret-config",
            "product_type_id": 1,
            "parameters": [{"id": key, "value": value} for key, value in ENT_2],
        },
    ).json()
    config = made["config"]["id"]
    created = people.acme.post(
        "entitlements",
        {"config": config, "count": 1, "description": "quite secret text", "labels": {"secret-label": "secret-value"}},
        Idempotency_Key="acme-key-1",
    ).json()
    people.acme.patch(f"entitlements/{serial}", {"description": "another secret text"})
    token = people.acme.post(
        "tenants/acme/tokens",
        {"name": "secret-token-name", "scopes": ["entitlements:read"]},
        Idempotency_Key="acme-key-2",
    ).json()
    planned = people.acme.post(
        "entitlements", {"config": config, "count": 1, "description": "planned secret"}, Prefer="respond-async"
    ).json()
    rule = people.operator.post(
        "assignment-rules", {"name": "secret-rule", "tenant": "acme", "description": "quite secret*"}
    ).json()
    ids = {
        "config": config,
        "rule": rule["id"],
        "catalogue": world.config_id,
        "operation": created["operation"]["id"],
        "planned": planned["operation"]["id"],
        "made": created["entitlements"][0]["serial_number"],
        "token": token["id"],
        "program": PROGRAM,
    }
    marks = ["quite-secret-config", "quite secret text", "another secret text", "secret-label", "secret-value"]
    return ids, [
        *marks,
        "secret-token-name",
        "secret-rule",
        rule["id"],
        "planned secret",
        ids["made"],
        f'"config":{config},',
    ]


def _make_everybody(people: People, named: str) -> dict[str, ApiClient]:
    """Everybody who might ask, each for every route."""
    create_tenant(SETUP, slug="hooli", name="Hooli", currency="EUR", billing_profile=TAX)
    sleeping = make_client(slug="hooli")
    with acting_as(SETUP):
        staff = {name: User.objects.create(username=name, is_staff=True) for name in ("ungranted", "granted")}
    for right in RIGHTS:
        grant_right(SETUP, staff["ungranted"], People.tenant("globex"), right)
        grant_right(SETUP, staff["granted"], People.tenant("acme"), right)
    people.operator.patch("tenants/hooli", {"status": "suspended"})
    return {
        "nobody": people.nobody,
        "wrong_scope": make_client(slug="acme", scopes=["budgets:write"]),
        "read_only": make_client(slug="acme", scopes=READ_ALL),
        "narrowed": make_client(slug="acme", entitlements=[named]),
        "other": people.globex,
        "past_owner": make_client(slug="initech"),
        "suspended": sleeping,
        "ungranted": StaffClient(staff["ungranted"]),
        "granted": StaffClient(staff["granted"]),
        "operator": people.operator,
        "owner": people.acme,
    }


def text_of(answer: Any) -> str:
    """An answer's whole text, headers included, without what is new in every answer."""
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    headers = {
        k: v for k, v in answer.headers.items() if k not in {"Request-Id", "ETag", "RateLimit", "RateLimit-Policy"}
    }
    return json.dumps(headers) + body.decode()
