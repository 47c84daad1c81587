"""What the mirror tells as news from outside: no change that a write of ours did, or may have done, and each thing once."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from gateway.days import today
from gateway.models import Operation
from gateway.reconciliation import reconcile_operations
from tenants import clock
from tenants.context import acting_as
from tenants.models import Event
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People
from tests.worlds import ENT_4, SandboxWorld

NEWS = ("entitlement.appeared", "entitlement.changed_outside", "entitlement.vanished", "entitlement.returned")
DEVICE = "FGT60FTK20000001"


def news() -> list[tuple[str, dict[str, Any]]]:
    with acting_as(SETUP):
        return list(Event.objects.filter(type__in=NEWS).order_by("id").values_list("type", "data"))


def news_since(number: int) -> list[tuple[str, dict[str, Any]]]:
    return news()[number:]


def stop_in_vain(people: People, world: SandboxWorld, when: Any) -> str:
    """acme's entitlement, whose stop got no answer; `when` = whether it was done all the same."""
    serial = str(world.sandbox.create_vm(world.config_id, skipPending=True)[0])
    world.sync()
    give([serial], "acme", today())
    world.sandbox.plan_fault("entitlements/stop", "cut", when=when)
    assert people.acme.post(f"entitlements/{serial}/stop").json()["operation"]["state"] == "unknown"
    return serial


def test_a_change_of_ours_whose_answer_was_lost_is_no_news(people: People, world: SandboxWorld) -> None:
    stop_in_vain(people, world, "after")
    before = len(news())
    world.sync()
    reconcile_operations(everything=True)
    world.sync()
    with acting_as(SETUP):
        assert Operation.objects.get(kind="stop").state == "succeeded"
    assert news_since(before) == []


def test_a_change_from_outside_during_an_unknown_one_is_told_once_that_is_settled(
    people: People, world: SandboxWorld
) -> None:
    serial = stop_in_vain(people, world, "before")
    bigger = world.add_config("bigger", ENT_4)
    world.sandbox.move(serial, bigger)
    before = len(news())
    world.sync()
    assert news_since(before) == []
    for seconds in (200, 300):
        with time_machine.travel(clock.now() + timedelta(seconds=seconds), tick=True):
            reconcile_operations(everything=True)
    with acting_as(SETUP):
        assert Operation.objects.get(kind="stop").state == "failed"
    with time_machine.travel(clock.now() + timedelta(seconds=400), tick=True):
        for _ in range(2):
            world.sync()
    assert news_since(before) == [("entitlement.changed_outside", {"config": bigger})]


def test_what_waits_for_a_person_keeps_no_news_back(people: People, world: SandboxWorld) -> None:
    serial = stop_in_vain(people, world, "before")
    with acting_as(SETUP):
        Operation.objects.filter(kind="stop").update(next_check_at=None)
    bigger = world.add_config("bigger", ENT_4)
    world.sandbox.move(serial, bigger)
    before = len(news())
    world.sync()
    assert news_since(before) == [("entitlement.changed_outside", {"config": bigger})]
    assert people.acme.get(f"entitlements/{serial}").json()["config"] == bigger


@pytest.mark.parametrize("kind", ["vm", "hardware", "cloud"])
def test_what_a_creation_of_ours_may_have_made_names_its_operation(
    people: People, world: SandboxWorld, kind: str
) -> None:
    config, body = world.config_id, {}
    if kind == "hardware":
        config = world.add_config("fgt-60f", [(27, "FGT60F"), (28, "FGHWUTP")], product_type_id=101)
        body = {"serial_numbers": [DEVICE]}
    if kind == "cloud":
        config = world.add_config("cloud", [(32, "10"), (33, "1")], product_type_id=202)
    world.sync()
    people.operator.post(f"configs/{config}/offers", {"tenant": "acme"})
    world.sandbox.plan_fault(f"entitlements/{kind}/create", "cut", when="after")
    asked = people.acme.post("entitlements", {"config": config, **body}).json()["operation"]
    assert asked["state"] == "unknown"
    world.sync()
    reconcile_operations(everything=True)
    world.sync()
    settled = people.acme.get(f"operations/{asked['id']}").json()
    assert (settled["state"], len(settled["entitlements"])) == ("succeeded", 1)
    world.sandbox.create_vm(world.config_id)  # and what came from outside names none
    world.sync()
    assert [(name, data.get("operation")) for name, data in news()] == [
        ("entitlement.appeared", asked["id"]),
        ("entitlement.appeared", None),
    ]


def test_what_had_vanished_and_is_there_again_says_so(people: People, world: SandboxWorld) -> None:
    serial = world.sandbox.create_vm(world.config_id, skipPending=True)[0]
    world.sync()
    give([serial], "acme", today())
    before = len(news())
    for removed in (True, False):
        world.sandbox.world.entitlements[0].removed = removed
        for _ in range(2):
            world.sync()
    assert news_since(before) == [("entitlement.vanished", {}), ("entitlement.returned", {})]
    told = [row["type"] for row in people.acme.get("events").json()["results"]]
    assert told[-2:] == ["entitlement.vanished", "entitlement.returned"]


def test_a_device_that_another_registers_is_not_back_with_who_had_it_last(people: People, world: SandboxWorld) -> None:
    """The answer to its registration was lost, and a pass comes first: whose it is waits for what settles that."""
    hardware = world.add_config("fgt-60f", [(27, "FGT60F"), (28, "FGHWUTP")], product_type_id=101)
    world.sync()
    for slug in ("acme", "globex"):
        people.operator.post(f"configs/{hardware}/offers", {"tenant": slug})
    body = {"config": hardware, "serial_numbers": [DEVICE]}
    assert people.acme.post("entitlements", body).status_code == 201
    assert people.acme.post(f"entitlements/{DEVICE}/remove").status_code == 200
    with time_machine.travel(clock.now() + timedelta(days=2), tick=True):
        world.sandbox.plan_fault("entitlements/hardware/create", "cut", when="after")
        operation = people.globex.post("entitlements", body).json()["operation"]["id"]
        world.sync()
        assert news() == []
        reconcile_operations(everything=True)  # its start is that of the first registration: a person must say
        word = {"done": True, "reason": "globex has it on the desk", "entitlements": [DEVICE]}
        assert people.operator.post(f"operations/{operation}/resolve", word).status_code == 200
        world.sync()
        assert people.globex.get(f"entitlements/{DEVICE}").status_code == 200
        assert people.acme.get(f"entitlements/{DEVICE}").status_code == 404
        assert news() == []
