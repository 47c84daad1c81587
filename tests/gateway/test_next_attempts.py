"""The same key starts the next attempt of what was provably not done: as things stand then, and not as they stood the first time."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from gateway.models import Operation, Program
from gateway.provisioning.draining import drain_queue
from gateway.reconciliation import reconcile_operations
from tenants import clock
from tenants.context import acting_as
from tenants.models import Tenant
from tests.people import SETUP, People, make_client
from tests.worlds import ACCOUNT, PROGRAM, SandboxWorld

OTHER = ACCOUNT + 1
SIZE = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}]
CONFIG = {"program": PROGRAM, "name": "mine", "product_type_id": 1, "parameters": SIZE}
KEY = {"Idempotency-Key": "one"}


@pytest.fixture
def config(people: People, world: SandboxWorld) -> int:
    """A config that acme may use, and a second account of the program."""
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    world.sandbox.add_account(OTHER)
    world.sandbox.create_config(
        program=PROGRAM, name="x", product_type_id=2, parameters=[(30, "5"), (9, "1")], account_id=OTHER
    )
    world.sync()
    return world.config_id


def make_vm(people: People, config: int) -> str:
    answer = people.acme.post("entitlements", {"config": config, "skip_pending": True})
    return str(answer.json()["entitlements"][0]["serial_number"])


def use_account(account_id: int) -> None:
    with acting_as(SETUP):
        Tenant.objects.filter(slug="acme").update(account_ids=[account_id])


def let_hours_pass(hours: int) -> None:
    for hour in range(1, hours):
        with time_machine.travel(clock.now() + timedelta(hours=hour), tick=True):
            reconcile_operations(everything=True)


def kinds() -> list[tuple[str, str]]:
    with acting_as(SETUP):
        return [(row.kind, row.state) for row in Operation.objects.order_by("id")]


def move(people: People, serial: str) -> Any:
    return people.acme.post(f"entitlements/{serial}/transfer", {"account_id": OTHER}, **KEY)


def test_it_says_what_it_costs_though_nobody_could_say_it_the_first_time(
    people: People, world: SandboxWorld, config: int
) -> None:
    world.sandbox.plan_fault("*", "refuse", times=2)  # the price, and the creation
    assert people.acme.post("entitlements", {"config": config}, **KEY).status_code == 503
    again = people.acme.post("entitlements", {"config": config}, **KEY)
    assert (again.status_code, again.json()["operation"]["points_per_day"]) == (201, "6.3900")


def test_a_config_comes_into_an_account_that_is_still_its_tenants(
    people: People, world: SandboxWorld, config: int
) -> None:
    use_account(ACCOUNT)
    world.sandbox.plan_fault("configs/create", "refuse")
    assert make_client(slug="acme").post("configs", CONFIG, **KEY).status_code == 503
    use_account(OTHER)
    again = make_client(slug="acme").post("configs", CONFIG, **KEY)
    assert (again.status_code, again.json()["config"]["account_id"]) == (201, OTHER)
    assert [call.path for call in world.calls_of("configs/create")] == ["configs/create"] * 2


def test_an_entitlement_that_was_resized_meanwhile_is_moved_from_where_it_stands(
    people: People, world: SandboxWorld, config: int
) -> None:
    serial, _ = make_vm(people, config), make_vm(people, config)
    world.sandbox.create_config(
        program=PROGRAM, name="same", product_type_id=1, parameters=[(1, "2"), (2, "ENT")], account_id=OTHER
    )
    world.sync()
    [target] = [row for row in people.operator.get("configs").json()["results"] if row["name"] == "same"]
    world.give_config(target["id"], "acme")
    world.sandbox.plan_fault("entitlements/transfer", "refuse")
    body = {"account_id": OTHER, "config": target["id"]}
    assert people.acme.post(f"entitlements/{serial}/transfer", body, **KEY).status_code == 503
    bigger = {"parameters": [{"id": 1, "value": "4"}]}
    assert people.acme.patch(f"entitlements/{serial}", bigger).status_code == 200
    again = people.acme.post(f"entitlements/{serial}/transfer", body, **KEY)
    assert (again.status_code, again.json()["account_id"]) == (200, OTHER), again.content


def test_of_two_halves_the_second_is_tried_again(people: People, world: SandboxWorld, config: int) -> None:
    serial = make_vm(people, config)
    world.sandbox.plan_fault("entitlements/transfer", "cut", times=5)
    assert move(people, serial).status_code == 202
    let_hours_pass(20)
    assert kinds()[1:] == [("create_config", "succeeded"), ("transfer", "failed")]
    again = move(people, serial)
    assert (again.status_code, again.json()["account_id"]) == (200, OTHER), again.content
    assert kinds()[1:] == [("create_config", "succeeded"), ("transfer", "succeeded")]
    assert move(people, serial).headers["Idempotent-Replayed"] == "true"


def test_a_creation_that_met_an_empty_program_is_tried_again_once_it_has_points(
    people: People, world: SandboxWorld, config: int
) -> None:
    people.acme.post("entitlements", {"config": config}, Prefer="respond-async", **KEY)
    with acting_as(SETUP):
        Program.objects.update(point_balance=0)
    drain_queue(world.api_user, seconds=5)
    assert people.acme.post("entitlements", {"config": config}, **KEY).json()["code"] == "insufficient_points"
    with acting_as(SETUP):
        Program.objects.update(point_balance=100)
    assert people.acme.post("entitlements", {"config": config}, **KEY).status_code == 201
