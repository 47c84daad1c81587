"""A small lived world: a billed month, a sandbox behind the transport, and something of every kind that a path can name."""

import copy
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from billing.models import StatementLine
from billing.statements import issue_statements
from gateway import ownership, upstream
from gateway.fortiflex.days import pacific_moment
from gateway.sandbox import Sandbox, SandboxTransport
from gateway.sandbox.world import World
from gateway.tags import make_tag
from tenants import ids
from tenants.context import acting_as
from tests.billing.test_golden_month import AUGUST, live_august
from tests.gateway.ledger.scenes import give, noon_of, pull, vm
from tests.people import SETUP, TAX, People, make_people
from tests.worlds import ACCOUNT, API_URL, AUTH_URL, PROGRAM, SandboxWorld

TODAY = date(2026, 9, 4)
OTHER_ACCOUNT = ACCOUNT + 1
PARAMETERS = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}]


@dataclass(slots=True)
class Scene:
    """`in_path` and `in_data`: what exists, by the name that the description gives it. Every list is in a fixed order."""

    people: People
    upstream: World
    in_path: dict[str, list[Any]] = field(default_factory=dict)
    in_data: dict[str, list[Any]] = field(default_factory=dict)

    def restore_upstream(self) -> None:
        """FortiFlex as it was, for a database that was rolled back."""
        upstream.install_transport(SandboxTransport(Sandbox(world=copy.deepcopy(self.upstream))))
        ownership.forget_day()


def make_scene() -> Scene:
    """Call inside `noon_of(TODAY)`; commits."""
    people = make_people()
    world, active, *_ = live_august(people)
    with noon_of(TODAY):
        with world.sandbox.at(pacific_moment(AUGUST, 1)):
            more = [vm(world, day=AUGUST, hour=9) for _ in range(4)]
        stopped, to_stop, lost, proposed = more
        world.sandbox.edit_description(proposed, make_tag("acme", ids.new_id(), 1))
        pull(world)
        issue_statements(SETUP, month="2026-08")
        device = _add_hardware_and_another_account(world)
        give([stopped, to_stop, lost, device], "acme", TODAY)
        scene = Scene(people, world.sandbox.world)
        _fill(scene, world, active=active, stopped=stopped, to_stop=to_stop, lost=lost, device=device)
        _name_data(scene, world)
    scene.upstream = copy.deepcopy(world.sandbox.world)
    return scene


def _add_hardware_and_another_account(world: SandboxWorld) -> str:
    """What can be removed, and where something can be transferred to; the device's serial."""
    world.sandbox.add_account(OTHER_ACCOUNT)
    world.sandbox.create_config(
        program=PROGRAM, name="there", product_type_id=1, parameters=[(1, "8"), (2, "ENT")], account_id=OTHER_ACCOUNT
    )
    hardware = world.add_config("hw", [(27, "FGT60F"), (28, "FGHWUTP"), (29, "NONE")], product_type_id=101)
    made = world.sandbox.call("entitlements/hardware/create", configId=hardware, serialNumbers=["FGT60FTK20000001"])
    world.sync()
    return str(made["entitlements"][0]["serialNumber"])


def _fill(
    scene: Scene, world: SandboxWorld, *, active: str, stopped: str, to_stop: str, lost: str, device: str
) -> None:
    acme, operator = scene.people.acme, scene.people.operator
    _done(operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"}))
    own = _done(
        acme.post(
            "configs",
            {"program": PROGRAM, "name": "own", "product_type_id": 1, "parameters": PARAMETERS, "account_id": ACCOUNT},
        )
    )
    made = _done(acme.post("entitlements", {"config": own["config"]["id"], "labels": {"site": "Bonn"}}))
    _done(acme.post(f"entitlements/{stopped}/stop"))
    profile = {"address": ["Am Markt 1"], "country": "DE", "email": "it@acme.example"} | TAX
    limits = {"entitlements": 50, "points_per_day": "10000"}
    _done(operator.patch("tenants/acme", {"billing_profile": profile, "limits": limits}))
    planned = _done(acme.post(f"entitlements/{to_stop}/stop", Prefer="respond-async"))
    world.sandbox.plan_fault("entitlements/stop", "cut", when="after")
    unknown = _done(acme.post(f"entitlements/{lost}/stop"))
    spare = _done(acme.post("tenants/acme/tokens", {"name": "spare"}))
    with acting_as(SETUP):
        line = StatementLine.objects.filter(statement__number="ACME-2026-0001").order_by("position")[0]
    rule = _done(operator.post("assignment-rules", {"name": "ours", "tenant": "acme", "config_name": "own*"}))
    operations = [made["operation"], planned["operation"], unknown["operation"]]
    scene.in_path = {
        "name": ["main"],
        "config_id": [own["config"]["id"], world.config_id],
        "slug": ["acme"],
        "serial": [active, made["entitlements"][0]["serial_number"], device, stopped, lost],
        "rule_id": [rule["id"]],
        "operation_id": [operation["id"] for operation in operations],
        "token_id": [spare["id"]],
        "number": ["ACME-2026-0001", "draft-2026-09-acme"],
        "line_id": [str(line.id)],
    }


def _name_data(scene: Scene, world: SandboxWorld) -> None:
    serials = scene.in_path["serial"]
    scene.in_data = {
        "If-Match": ["*", "*", 'W/"another"'],
        "If-None-Match": ['W/"another"'],
        "Idempotency-Key": ["deploy-1"],
        "Prefer": ["respond-async", "wait=10"],
        "action": ["token.issued"],
        "account_id": [ACCOUNT, OTHER_ACCOUNT],
        "account_ids": [[ACCOUNT], None],
        "after": [0, 3],
        "allowed_ips": [["127.0.0.0/8", "2001:db8::/32"], []],
        "api_url": [API_URL],
        "api_user": ["main"],
        "auth_url": [AUTH_URL],
        "billing_profile": [{"country": "DE", "tax": {"category": "S", "rate": "19"}}, {}],
        "config": scene.in_path["config_id"],
        "config_name": ["fgt-*", None],
        "configs": [scene.in_path["config_id"][:1]],
        "count": [1, 2],
        "csv": [f"serial_number,tenant,from_day\n{serial},globex,2026-09-05\n" for serial in serials],
        "currency": ["EUR"],
        "description": ["branch office", ""],
        "done": [True, False],
        "dry_run": ["true", "false"],
        "enabled": [True, False],
        "entitlements": [serials[:1]],
        "end_date": ["2026-12-31"],
        "expect": ["0" * 64],
        "expires_at": ["2026-12-31T00:00:00Z"],
        "folder_path": ["My Assets"],
        "from": ["2026-08-01"],
        "from_day": ["2026-09-05", "2026-08-20"],
        "group_by": ["config", "day", "entitlement", "label", "month", "product"],
        "internal": [False, True],
        "kind": ["stop", "create_vm"],
        "label": ["site=Bonn", "site"],
        "labels": [{"site": "Köln"}, {}],
        "limit": [1, 500],
        "limits": [{"entitlements": 50, "points_per_day": "1000"}, {}],
        "month": ["2026-08", "2026-07"],
        "name": ["another"],
        "operator_labels": [{"rack": "7"}],
        "overlap_seconds": [0, 3600],
        "parameters": [PARAMETERS],
        "password": ["password"],
        "priority": [5, 100],
        "price_per_point": ["0.055", 1],
        "product": ["FortiGate Virtual Machine - Service Bundle"],
        "product_type_id": [1],
        "program": [PROGRAM],
        "programs": [[PROGRAM], None],
        "reason": ["looked at the portal"],
        "scopes": [["entitlements:read"]],
        "search": ["branch"],
        "serial_number": serials,
        "subject": serials[:1],
        "type": ["operation.succeeded"],
        "serials": [serials[:1], serials[1:3]],
        "skip_pending": [True, False],
        "slug": ["initech"],
        "state": ["succeeded", "unknown"],
        "start_date": ["2026-01-31"],
        "status": ["active"],
        "tags_follow": [False, True],
        "tenant": ["acme", "globex", None],
        "to": ["2026-08-31"],
        "until_day": [None, "2026-12-01"],
        "username": ["user"],
    }


def _done(response: Any) -> dict[str, Any]:
    assert response.status_code < 300, response.content
    return dict(response.json()) if response.content else {}
