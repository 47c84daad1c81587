"""Unknown outcomes: journaled, never repeated, settled from what is found upstream."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from gateway.days import today
from gateway.models import Assignment, Entitlement, Operation
from gateway.reconciliation import reconcile_operations
from gateway.sandbox.faults import Kind
from tenants import clock
from tenants.context import acting_as
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People
from tests.worlds import SandboxWorld

LOST: list[Kind] = ["timeout", "cut", "http_500", "html", "cut_json", "empty"]


@pytest.fixture
def config(people: People, world: SandboxWorld) -> int:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    return world.config_id


def ask(people: People, config: int, **more: Any) -> Any:
    return people.acme.post("entitlements", {"config": config, "description": "mine", **more})


def read(operation_id: str) -> Operation:
    with acting_as(SETUP):
        return Operation.objects.get(id=operation_id)


@pytest.mark.parametrize("kind", LOST)
def test_a_lost_answer_is_found_again_by_its_tag(people: People, world: SandboxWorld, config: int, kind: Kind) -> None:
    world.sandbox.plan_fault("entitlements/vm/create", kind, when="after")
    response = ask(people, config, count=2)
    assert response.status_code == 202
    operation = response.json()["operation"]
    assert (operation["state"], response["Location"]) == ("unknown", f"/api/v1/operations/{operation['id']}")
    report = reconcile_operations(everything=True)
    assert [str(row.id) for row in report.settled] == [operation["id"]]
    settled = people.acme.get(f"operations/{operation['id']}").json()
    assert settled["state"] == "succeeded"
    assert sorted(settled["entitlements"]) == sorted(row["serialNumber"] for row in world.sandbox.entitlements())
    assert len(settled["entitlements"]) == 2
    assert len(world.calls_of("entitlements/vm/create")) == 1
    listed = people.acme.get("entitlements").json()["results"]
    assert [row["description"] for row in listed] == ["mine", "mine"]


@pytest.mark.parametrize("kind", ["timeout", "cut", "html"])
def test_what_was_not_done_is_said_only_after_the_delay_and_two_looks(
    people: People, world: SandboxWorld, config: int, kind: Kind
) -> None:
    world.sandbox.plan_fault("entitlements/vm/create", kind, when="before")
    operation = ask(people, config).json()["operation"]
    with time_machine.travel(clock.now() + timedelta(seconds=30), tick=True):
        reconcile_operations(everything=True)
    assert read(operation["id"]).state == "unknown"
    for seconds in (200, 300):
        with time_machine.travel(clock.now() + timedelta(seconds=seconds), tick=True):
            reconcile_operations(everything=True)
    row = read(operation["id"])
    assert (row.state, row.error and row.error["code"]) == ("failed", "not_done")
    assert len([seen for seen in row.evidence if seen.get("verdict") == "absent"]) == 3
    assert world.sandbox.entitlements() == []


def test_the_same_key_starts_the_next_attempt_of_what_was_not_done(
    people: People, world: SandboxWorld, config: int
) -> None:
    world.sandbox.plan_fault("entitlements/vm/create", "timeout", when="before")
    body = {"config": config}
    first = people.acme.post("entitlements", body, Idempotency_Key="again").json()["operation"]
    for seconds in (200, 300):
        with time_machine.travel(clock.now() + timedelta(seconds=seconds), tick=True):
            reconcile_operations(everything=True)
    second = people.acme.post("entitlements", body, Idempotency_Key="again")
    assert second.status_code == 201
    assert second.json()["operation"]["id"] == first["id"]
    assert len(world.sandbox.entitlements()) == 1


def test_a_refused_connection_was_never_sent(people: People, world: SandboxWorld, config: int) -> None:
    world.sandbox.plan_fault("entitlements/vm/create", "refuse", when="before")
    response = ask(people, config)
    assert (response.status_code, response.json()["code"]) == (503, "upstream_unavailable")
    assert read(response.json()["operation"]["id"]).state == "failed"


def test_another_tenants_object_is_never_adopted(people: People, world: SandboxWorld, config: int) -> None:
    people.operator.post(f"configs/{config}/offers", {"tenant": "globex"})
    theirs = people.globex.post("entitlements", {"config": config}).json()["entitlements"][0]["serial_number"]
    world.sandbox.plan_fault("entitlements/vm/create", "timeout", when="before")
    operation = ask(people, config).json()["operation"]
    # Somebody copies acme's tag onto the stranger's entitlement in the portal.
    from gateway.tags import join_tag, make_tag

    world.sandbox.edit_description(theirs, join_tag("mine", make_tag("acme", read(operation["id"]).id, 1)))
    for seconds in (10, 200, 300):
        with time_machine.travel(clock.now() + timedelta(seconds=seconds), tick=True):
            reconcile_operations(everything=True)
    with acting_as(SETUP):
        owner = Assignment.objects.get(serial_number=theirs, until_day=None)
        assert owner.tenant.slug == "globex"
        assert Entitlement.objects.get(serial_number=theirs).tenant_id == owner.tenant_id
    assert read(operation["id"]).serial_numbers == []


def test_what_was_there_before_is_not_taken_for_hardware(people: People, world: SandboxWorld) -> None:
    config = world.add_config("hw", [(27, "FGT60F"), (28, "FGHWUTP")], product_type_id=101)
    people_config = config
    world.sync()
    people.operator.post(f"configs/{people_config}/offers", {"tenant": "acme"})
    # Registered in the portal an hour ago, not mirrored yet.
    with world.sandbox.at(clock.now() - timedelta(hours=1)):
        world.sandbox.call("entitlements/hardware/create", configId=config, serialNumbers=["FGT60FTK20000009"])
    world.sandbox.plan_fault("entitlements/hardware/create", "timeout", when="before")
    operation = people.acme.post("entitlements", {"config": config, "serial_numbers": ["FGT60FTK20000009"]}).json()[
        "operation"
    ]
    reconcile_operations(everything=True)
    with acting_as(SETUP):
        assert Assignment.objects.count() == 0
    assert read(operation["id"]).state in {"unknown", "failed"}


def test_hardware_is_found_by_its_serial(people: People, world: SandboxWorld) -> None:
    config = world.add_config("hw", [(27, "FGT60F"), (28, "FGHWUTP")], product_type_id=101)
    world.sync()
    people.operator.post(f"configs/{config}/offers", {"tenant": "acme"})
    world.sandbox.plan_fault("entitlements/hardware/create", "timeout", when="after")
    operation = people.acme.post("entitlements", {"config": config, "serial_numbers": ["FGT60FTK20000001"]}).json()[
        "operation"
    ]
    reconcile_operations(everything=True)
    assert read(operation["id"]).state == "succeeded"
    assert people.acme.get("entitlements/FGT60FTK20000001").json()["tenant"] == "acme"


@pytest.mark.parametrize(("verb", "status"), [("stop", "STOPPED"), ("token", "ACTIVE")])
def test_a_lost_answer_of_a_change_is_read_back(
    people: People, world: SandboxWorld, config: int, verb: str, status: str
) -> None:
    serial = ask(people, config, skip_pending=True).json()["entitlements"][0]["serial_number"]
    path = {"stop": "entitlements/stop", "token": "entitlements/vm/token"}[verb]
    world.sandbox.plan_fault(path, "timeout", when="after")
    operation = people.acme.post(f"entitlements/{serial}/{verb}").json()["operation"]
    assert operation["state"] == "unknown"
    busy = people.acme.post(f"entitlements/{serial}/{verb}")
    assert busy.status_code == 409
    reconcile_operations(everything=True)
    assert read(operation["id"]).state == "succeeded"
    assert people.acme.get(f"entitlements/{serial}").json()["status"] == status
    assert len(world.calls_of(path)) == 1


def test_a_config_whose_answer_was_lost_is_found_by_its_name(people: People, world: SandboxWorld) -> None:
    world.sandbox.plan_fault("configs/create", "cut_json", when="after")
    body = {"program": "ELAVMS0000000001", "name": "mine", "product_type_id": 1}
    body["parameters"] = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}]  # type: ignore[assignment]
    operation = people.acme.post("configs", body).json()["operation"]
    reconcile_operations(everything=True)
    row = read(operation["id"])
    assert row.state == "succeeded"
    assert people.acme.get(f"configs/{row.config_id}").json()["name"] == "mine"


def test_a_dead_senders_row_becomes_unknown_by_itself(people: People, world: SandboxWorld, config: int) -> None:
    operation_id = ask(people, config).json()["operation"]["id"]
    with acting_as(SETUP):
        Operation.objects.filter(id=operation_id).update(state="sent", settled_at=None, next_check_at=clock.now())
        Assignment.objects.all().delete()
        Entitlement.objects.all().update(tenant=None, first_seen_at=clock.now() + timedelta(minutes=1))
    reconcile_operations()
    assert read(operation_id).state == "succeeded"


def test_an_operator_settles_by_hand_with_a_reason(people: People, world: SandboxWorld, config: int) -> None:
    world.sandbox.plan_fault("entitlements/vm/create", "timeout", when="before")
    operation = ask(people, config).json()["operation"]
    assert (
        people.acme.post(f"operations/{operation['id']}/resolve", {"done": False, "reason": "x"}).json()["code"]
        == "operator_only"
    )
    settled = people.operator.post(
        f"operations/{operation['id']}/resolve", {"done": False, "reason": "looked in the portal"}
    )
    assert settled.json()["state"] == "failed"
    assert settled.json()["error"]["code"] == "not_done"


def test_a_person_names_what_a_creation_made_and_nothing_that_is_somebodys(people: People, world: SandboxWorld) -> None:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="before")
    operation = people.acme.post("entitlements", {"config": world.config_id, "labels": {"site": "Bonn"}}).json()[
        "operation"
    ]
    [made, other] = world.sandbox.create_vm(world.config_id, count=2)
    world.sync()
    give([other], "globex", today())
    body = {"done": True, "reason": "seen in the portal", "entitlements": [other]}
    refused = people.operator.post(f"operations/{operation['id']}/resolve", body)
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/entitlements/0"]
    refused = people.operator.post(
        f"operations/{operation['id']}/resolve", body | {"done": False, "entitlements": [made]}
    )
    assert refused.status_code == 400
    settled = people.operator.post(f"operations/{operation['id']}/resolve", body | {"entitlements": [made]}).json()
    assert (settled["state"], settled["entitlements"]) == ("succeeded", [made])
    assert people.acme.get(f"entitlements/{made}").json()["labels"] == {"site": "Bonn"}
