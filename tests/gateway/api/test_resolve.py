"""A person says which config an unknown creation made: it becomes its tenant's, and what was asked for together with it follows."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from gateway.models import Assignment, Config, Entitlement, Operation, Program
from gateway.provisioning.draining import drain_queue
from tenants import clock
from tenants.context import acting_as
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People
from tests.worlds import ACCOUNT, ENT_2, ENT_4, PROGRAM, SandboxWorld

BODY = {
    "program": PROGRAM,
    "name": "mine",
    "product_type_id": 1,
    "parameters": [{"id": key, "value": value} for key, value in ENT_2],
}
REASON = {"done": True, "reason": "seen in the portal"}


def lose_config(people: People, world: SandboxWorld, *, slug: str = "acme") -> dict[str, Any]:
    """A creation that FortiFlex never did, as far as anybody knows."""
    world.sandbox.plan_fault("configs/create", "cut", when="before")
    client = {"acme": people.acme, "globex": people.globex}[slug]
    operation: dict[str, Any] = client.post("configs", BODY).json()["operation"]
    assert operation["state"] == "unknown"
    return operation


def test_the_config_named_becomes_the_tenants(people: People, world: SandboxWorld) -> None:
    operation = lose_config(people, world)
    made = world.add_config("made in the portal", ENT_2)
    world.sync()
    settled = people.operator.post(f"operations/{operation['id']}/resolve", REASON | {"config": made}).json()
    assert settled == operation | {
        "state": "succeeded",
        "config": made,
        "settled_at": settled["settled_at"],
        "next_check_at": None,
    }
    assert people.acme.get(f"configs/{made}").json() == {
        "id": made,
        "name": "made in the portal",
        "program": PROGRAM,
        "account_id": ACCOUNT,
        "tenant": "acme",
        "status": "ACTIVE",
        "product_type_id": 1,
        "product": "FortiGate Virtual Machine - Service Bundle",
        "parameters": people.operator.get(f"configs/{made}").json()["parameters"],
        "points_per_day": None,
    }
    assert people.globex.get(f"configs/{made}").status_code == 404


def test_what_waited_for_the_config_follows(people: People, world: SandboxWorld) -> None:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    serial = people.acme.post("entitlements", {"config": world.config_id, "skip_pending": True}).json()["entitlements"][
        0
    ]["serial_number"]
    world.sandbox.plan_fault("configs/create", "cut", when="before")
    change = {"parameters": [{"id": 1, "value": "4"}], "description": "bigger"}
    first = people.acme.patch(f"entitlements/{serial}", change).json()["operation"]
    assert (first["kind"], first["state"]) == ("create_config", "unknown")
    made = world.add_config("by hand", ENT_4)
    world.sync()
    people.operator.post(f"operations/{first['id']}/resolve", REASON | {"config": made})
    drain_queue(world.api_user, seconds=20)
    row = people.acme.get(f"entitlements/{serial}").json()
    assert (row["config"], row["description"]) == (made, "bigger")
    with acting_as(SETUP):
        followed = Operation.objects.get(intent__follows=first["id"])
    assert (followed.kind, followed.state) == ("update_entitlement", "succeeded")


def test_a_wrong_config_is_refused_and_nothing_changes(people: People, world: SandboxWorld) -> None:
    operation = lose_config(people, world)
    other_product = world.add_config("hw", [(27, "FGT60F"), (28, "FGHWUTP")], product_type_id=101)
    globexs = people.globex.post("configs", BODY).json()["config"]["id"]
    in_use = world.add_config("in use", ENT_2)
    offered = world.add_config("offered", ENT_2)
    [serial] = world.sandbox.create_vm(in_use)
    world.sync()
    give([serial], "globex", world.sandbox.clock.today())
    people.operator.post(f"configs/{offered}/offers", {"tenant": "globex"})
    acmes = people.acme.post("configs", BODY | {"name": "another"}).json()["config"]["id"]
    with acting_as(SETUP):
        before = list(Config.objects.order_by("id").values_list("id", "tenant"))
    for wrong in (999_999, other_product, globexs, in_use, offered, acmes):
        refused = people.operator.post(f"operations/{operation['id']}/resolve", REASON | {"config": wrong})
        assert refused.status_code == 400, wrong
        assert [error["pointer"] for error in refused.json()["errors"]] == ["/config"], wrong
    with acting_as(SETUP):
        assert list(Config.objects.order_by("id").values_list("id", "tenant")) == before
        assert Operation.objects.get(id=operation["id"]).state == "unknown"


@pytest.mark.parametrize("done", [True, False])
def test_only_the_creation_of_a_config_made_one(people: People, world: SandboxWorld, done: bool) -> None:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="before")
    operation = people.acme.post("entitlements", {"config": world.config_id}).json()["operation"]
    if not done:
        operation = lose_config(people, world)
    body = {"done": done, "reason": "x", "config": world.config_id}
    refused = people.operator.post(f"operations/{operation['id']}/resolve", body)
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/config"]


def test_two_operations_never_get_one_config(people: People, world: SandboxWorld) -> None:
    one, other = lose_config(people, world), lose_config(people, world, slug="globex")
    made = world.add_config("seen", ENT_2)
    world.sync()
    first = people.operator.post(f"operations/{one['id']}/resolve", REASON | {"config": made})
    second = people.operator.post(f"operations/{other['id']}/resolve", REASON | {"config": made})
    assert (first.status_code, second.status_code) == (200, 400)


def test_labels_of_a_change_that_a_person_saw_are_kept(people: People, world: SandboxWorld) -> None:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    made = people.acme.post("entitlements", {"config": world.config_id}).json()["entitlements"]
    path = f"entitlements/{made[0]['serial_number']}"
    world.sandbox.plan_fault("entitlements/update", "cut", when="after")
    operation = people.acme.patch(path, {"description": "till 1", "labels": {"shop": "north"}}).json()["operation"]
    people.operator.post(f"operations/{operation['id']}/resolve", REASON)
    world.sync()
    row = people.acme.get(path).json()
    assert (row["description"], row["labels"]) == ("till 1", {"shop": "north"})


def test_what_a_person_found_in_part_is_a_creation_done_in_part(people: People, world: SandboxWorld) -> None:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="after")
    operation = people.acme.post("entitlements", {"config": world.config_id, "count": 3}).json()["operation"]["id"]
    world.sync()
    found = [row["serialNumber"] for row in world.sandbox.entitlements()][:2]
    people.operator.post(f"operations/{operation}/resolve", REASON | {"entitlements": found})
    told = people.acme.get(f"operations/{operation}").json()
    assert (told["state"], told["error"]["code"], told["entitlements"]) == ("failed", "partly_created", found)
    assert people.acme.get(f"entitlements/{found[0]}").status_code == 200


def test_a_creation_made_nothing_in_another_program_or_under_another_config(
    people: People, world: SandboxWorld
) -> None:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="before")
    operation = people.acme.post("entitlements", {"config": world.config_id}).json()["operation"]["id"]
    other_config = world.add_config("another", ENT_4)
    [made], [under_another], [moved] = (
        world.sandbox.create_vm(config) for config in (world.config_id, other_config, world.config_id)
    )
    world.sync()
    with acting_as(SETUP):
        other = Program.objects.create(serial_number="ELAVMS0000000002", account_id=ACCOUNT)
        Entitlement.objects.filter(serial_number=moved).update(program=other)
    path, told = f"operations/{operation}/resolve", []
    for serials in ([made, under_another], [moved], ["FGVMMLTM99999999"]):
        refused = people.operator.post(path, REASON | {"entitlements": serials})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
        told += [(error["pointer"], error["detail"]) for error in refused.json()["errors"]]
    elsewhere = (
        "It stands in another program or under another configuration than what this operation makes: assign it instead."
    )
    assert told == [
        ("/entitlements/1", elsewhere),
        ("/entitlements/0", elsewhere),
        ("/entitlements/0", "Nobody's in the mirror: sync first, or it is somebody's."),
    ]
    with acting_as(SETUP):
        assert Operation.objects.get(id=operation).state == "unknown"
        assert not Assignment.objects.filter(serial_number__in=[made, under_another, moved]).exists()
    assert people.operator.post(path, REASON | {"entitlements": [made]}).json()["entitlements"] == [made]


def test_a_device_that_fortiflex_had_let_go_stands_where_it_stood_before(people: People, world: SandboxWorld) -> None:
    """What the mirror says of its place is from its owner before."""
    old, new = (
        world.add_config(name, [(27, "FGT60F"), (28, "FGHWUTP"), (29, "NONE")], product_type_id=101)
        for name in ("old", "new")
    )
    world.sync()
    for slug, config in (("globex", old), ("acme", new)):
        people.operator.post(f"configs/{config}/offers", {"tenant": slug})
    device = "FGT60FTK20000001"
    assert people.globex.post("entitlements", {"config": old, "serial_numbers": [device]}).status_code == 201
    people.globex.post(f"entitlements/{device}/remove")
    with time_machine.travel(clock.now() + timedelta(days=2), tick=True):
        world.sandbox.plan_fault("entitlements/hardware/create", "cut", when="before")
        answer = people.acme.post("entitlements", {"config": new, "serial_numbers": [device]})
        operation = answer.json()["operation"]["id"]
        settled = people.operator.post(f"operations/{operation}/resolve", REASON | {"entitlements": [device]})
        assert (settled.status_code, settled.json()["state"]) == (200, "succeeded")
        assert people.acme.get(f"entitlements/{device}").json()["config"] == new
