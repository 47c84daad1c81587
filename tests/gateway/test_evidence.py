"""What proves that a lost write was done, or was not: each test is named after what was taken for proof once."""

from datetime import timedelta
from typing import Any

import time_machine

from gateway.models import Operation
from gateway.reconciliation import reconcile_operations
from tenants import clock
from tenants.context import acting_as
from tests.people import SETUP, People
from tests.worlds import PROGRAM, SandboxWorld

SIZE = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}]
BOTH_SERVICES = [*SIZE, {"id": 43, "value": "FGTAVDB"}, {"id": 43, "value": "FGTFAIS"}]
ONE_SERVICE = {"parameters": [{"id": 43, "value": "FGTAVDB"}]}


def look(*seconds: float) -> None:
    for moment in seconds:
        with time_machine.travel(clock.now() + timedelta(seconds=moment), tick=True):
            reconcile_operations(everything=True)


def last_operation() -> Operation:
    with acting_as(SETUP):
        return Operation.objects.latest("id")


def make_config(people: People, parameters: list[dict[str, Any]]) -> int:
    body = {"program": PROGRAM, "name": "mine", "product_type_id": 1, "parameters": parameters}
    return int(people.acme.post("configs", body).json()["config"]["id"])


def test_a_service_that_still_stands_was_not_taken_away(people: People, world: SandboxWorld) -> None:
    config = make_config(people, BOTH_SERVICES)
    world.sandbox.plan_fault("configs/update", "cut")
    assert people.acme.patch(f"configs/{config}", ONE_SERVICE).status_code == 202
    look(200, 400)
    row = last_operation()
    assert (row.state, row.error and row.error["code"]) == ("failed", "not_done")


def test_a_service_that_is_gone_was_taken_away(people: People, world: SandboxWorld) -> None:
    config = make_config(people, BOTH_SERVICES)
    world.sandbox.plan_fault("configs/update", "cut", when="after")
    assert people.acme.patch(f"configs/{config}", ONE_SERVICE).status_code == 202
    look(10)
    assert last_operation().state == "succeeded"
    shown = people.acme.get(f"configs/{config}").json()["parameters"]
    assert [item["value"] for item in shown if item["id"] == 43] == ["FGTAVDB"]


def test_of_a_config_that_is_not_listed_at_all_nobody_says_that_its_change_was_not_done(
    people: People, world: SandboxWorld
) -> None:
    config = make_config(people, SIZE)
    world.sandbox.plan_fault("configs/update", "cut", when="after")
    people.acme.patch(f"configs/{config}", {"parameters": [{"id": 1, "value": "16"}]})
    listed = world.sandbox.world.configs
    listed[:] = [row for row in listed if row.id != config]
    look(200, 400)
    assert last_operation().state == "unknown"


def test_a_part_that_grows_from_look_to_look_is_not_all_there_will_be(people: People, world: SandboxWorld) -> None:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="after")
    people.acme.post("entitlements", {"config": world.config_id, "count": 3})
    for late, seconds in zip(world.sandbox.world.entitlements[1:], (250, 350), strict=True):
        late.visible_from = clock.now() + timedelta(seconds=seconds)
    look(200, 300)
    assert last_operation().state == "unknown"
    look(400)
    row = last_operation()
    assert (row.state, len(row.serial_numbers)) == ("succeeded", 3)
