"""What went wrong once: each test is named after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from gateway.days import today
from gateway.models import Assignment, Operation
from gateway.reconciliation import reconcile_operations
from gateway.tags import join_tag, make_tag
from tenants import clock
from tenants.context import acting_as
from tenants.models import Event
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People, make_client
from tests.worlds import SandboxWorld


@pytest.fixture
def config(people: People, world: SandboxWorld) -> int:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    return world.config_id


@contextmanager
def later(seconds: float) -> Iterator[None]:
    with time_machine.travel(clock.now() + timedelta(seconds=seconds), tick=True):
        yield


def read(operation: dict[str, Any]) -> Operation:
    with acting_as(SETUP):
        return Operation.objects.get(id=operation["id"])


def test_what_is_there_and_may_not_be_taken_is_no_proof_of_absence(
    people: People, world: SandboxWorld, config: int
) -> None:
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="after")
    operation = people.acme.post("entitlements", {"config": config}).json()["operation"]
    world.sync()
    serial = world.sandbox.entitlements()[0]["serialNumber"]
    people.operator.post("assignments", {"serials": [serial], "tenant": "globex", "from_day": "2026-01-01"})
    for seconds in (10, 200, 300):
        with later(seconds):
            reconcile_operations(everything=True)
    row = read(operation)
    assert (row.state, row.next_check_at) == ("unknown", None)
    with acting_as(SETUP):
        assert Assignment.objects.get(serial_number=serial).tenant.slug == "globex"


def test_fortiflexs_clock_behind_ours_does_not_hide_our_own_tag(
    people: People, world: SandboxWorld, config: int
) -> None:
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="after")
    with world.sandbox.at(clock.now() - timedelta(hours=1)):
        operation = people.acme.post("entitlements", {"config": config}).json()["operation"]
    reconcile_operations(everything=True)
    assert read(operation).state == "succeeded"


def test_a_part_is_believed_to_be_all_only_after_the_delay(people: People, world: SandboxWorld, config: int) -> None:
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="after")
    operation = people.acme.post("entitlements", {"config": config, "count": 2}).json()["operation"]
    late = world.sandbox.world.entitlements[1]
    late.visible_from = clock.now() + timedelta(seconds=60)
    reconcile_operations(everything=True)
    assert read(operation).state == "unknown"
    with later(90):
        reconcile_operations(everything=True)
    row = read(operation)
    assert (row.state, len(row.serial_numbers)) == ("succeeded", 2)


def test_two_looks_at_once_are_one_look(people: People, world: SandboxWorld, config: int) -> None:
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="before")
    operation = people.acme.post("entitlements", {"config": config}).json()["operation"]
    with later(200):
        for _ in range(3):
            reconcile_operations(everything=True)
    assert read(operation).state == "unknown"
    with later(300):
        reconcile_operations(everything=True)
    assert read(operation).state == "failed"


def test_a_planned_write_whose_sender_died_ends_and_blocks_nothing(
    people: People, world: SandboxWorld, config: int
) -> None:
    serial = people.acme.post("entitlements", {"config": config, "skip_pending": True}).json()["entitlements"][0][
        "serial_number"
    ]
    people.acme.post(f"entitlements/{serial}/stop")
    with acting_as(SETUP):
        stop = Operation.objects.get(kind="stop")
        due = stop.created_at + timedelta(seconds=130)
        Operation.objects.filter(id=stop.id).update(state="planned", settled_at=None, sent_at=None, next_check_at=due)
    assert people.acme.post(f"entitlements/{serial}/reactivate").json()["code"] == "in_progress"
    with later(140):
        reconcile_operations()
    row = read({"id": stop.id})
    assert (row.state, row.error and row.error["code"]) == ("failed", "not_done")
    assert people.acme.post(f"entitlements/{serial}/reactivate").json()["status"] == "ACTIVE"


def test_a_list_that_was_asked_for_before_a_write_does_not_undo_it(
    people: People, world: SandboxWorld, config: int
) -> None:
    from gateway import upstream

    serial = people.acme.post("entitlements", {"config": config, "skip_pending": True}).json()["entitlements"][0][
        "serial_number"
    ]
    transport = upstream._transport
    assert transport is not None
    handle, made = transport.handle_request, []

    def meanwhile(request: Any) -> Any:
        answer = handle(request)
        if request.url.path.endswith("entitlements/list") and not made:
            made.append(1)  # while the old list is on its way, two writes settle
            transport.handle_request = handle  # type: ignore[method-assign]
            with acting_as(SETUP):
                from gateway.models import UpstreamLane

                UpstreamLane.objects.update(holder=None, held_until=None)
            people.acme.post(f"entitlements/{serial}/stop")
            made.append(people.acme.post("entitlements", {"config": config}).json()["entitlements"][0]["serial_number"])
        return answer

    transport.handle_request = meanwhile  # type: ignore[method-assign]
    world.sync()
    assert people.acme.get(f"entitlements/{serial}").json()["status"] == "STOPPED"
    assert people.acme.get(f"entitlements/{made[1]}").json()["serial_number"] == made[1]
    with acting_as(SETUP):
        assert not Event.objects.filter(type__in=["entitlement.vanished", "entitlement.changed_outside"]).exists()


def test_a_late_arrival_is_an_event(people: People, world: SandboxWorld, config: int) -> None:
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="before")
    operation = people.acme.post("entitlements", {"config": config}).json()["operation"]
    for seconds in (200, 300):
        with later(seconds):
            reconcile_operations(everything=True)
    assert read(operation).state == "failed"
    late = world.sandbox.create_vm(config, description=join_tag("", make_tag("acme", read(operation).id, 1)))[0]
    world.sync()
    world.sync()
    with acting_as(SETUP):
        found = Event.objects.get(type="reconciliation.duplicate")
    assert (found.subject_key, found.data["entitlements"]) == (operation["id"], [late])


def test_the_catalogue_refuses_here_what_fortiflex_would_refuse(people: People, world: SandboxWorld) -> None:
    assert len(people.acme.get("products").json()["results"]) == 24
    calls = len(world.sandbox.calls)
    body = {"program": "ELAVMS0000000001", "name": "x", "product_type_id": 1}
    values = [{"id": 1, "value": "9999"}, {"id": 2, "value": "ENT"}]
    refused = people.acme.post("configs", body | {"parameters": values})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/parameters/0")
    assert len(world.sandbox.calls) == calls


def test_a_change_of_size_and_text_changes_both(people: People, world: SandboxWorld) -> None:
    values = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}, {"id": 10, "value": "5"}]
    body = {"program": "ELAVMS0000000001", "name": "own", "product_type_id": 1, "parameters": values}
    own = people.acme.post("configs", body).json()["config"]["id"]
    serial = people.acme.post("entitlements", {"config": own, "description": "old"}).json()["entitlements"][0][
        "serial_number"
    ]
    change = {"parameters": [{"id": 1, "value": "4"}], "description": "new", "labels": {"a": "b"}}
    changed = people.acme.patch(f"entitlements/{serial}", change).json()
    assert (changed["config"], changed["description"], changed["labels"]) == (own, "new", {"a": "b"})
    parameters = {item["id"]: item["value"] for item in people.acme.get(f"configs/{own}").json()["parameters"]}
    assert (parameters[1], parameters[10]) == ("4", "5")
    people.acme.patch(f"configs/{own}", {"parameters": [{"id": 1, "value": "8"}]})
    parameters = {item["id"]: item["value"] for item in people.acme.get(f"configs/{own}").json()["parameters"]}
    assert (parameters[1], parameters[10]) == ("8", "5")


def test_a_handed_over_entitlement_does_not_tell_the_old_owners_config_name(
    people: People, world: SandboxWorld
) -> None:
    values = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}]
    body = {"program": "ELAVMS0000000001", "name": "secret project", "product_type_id": 1, "parameters": values}
    own = people.globex.post("configs", body).json()["config"]["id"]
    serial = people.globex.post("entitlements", {"config": own}).json()["entitlements"][0]["serial_number"]
    people.operator.post("assignments", {"serials": [serial], "tenant": "acme", "from_day": "2026-01-01"})
    seen = people.acme.get(f"configs/{own}")
    assert (seen.json()["name"], seen.json()["tenant"]) == (f"config {own}", None)
    for answer in (
        seen,
        people.acme.get("configs"),
        people.acme.patch(f"entitlements/{serial}", {"parameters": [{"id": 1, "value": "4"}]}),
    ):
        assert "secret" not in answer.content.decode()
        assert "globex" not in answer.content.decode()


def test_a_foreign_serial_is_refused_as_one_that_fortiflex_refuses(people: People, world: SandboxWorld) -> None:
    hardware = world.add_config("hw", [(27, "FGT60F"), (28, "FGHWUTP")], product_type_id=101)
    world.sync()
    for slug in ("acme", "globex"):
        people.operator.post(f"configs/{hardware}/offers", {"tenant": slug})
    people.globex.post("entitlements", {"config": hardware, "serial_numbers": ["FGT60FTK20000001"]})
    calls = len(world.sandbox.calls)
    foreign = people.acme.post("entitlements", {"config": hardware, "serial_numbers": ["FGT60FTK20000001"]}).json()
    assert len(world.sandbox.calls) == calls
    with world.sandbox.at(clock.now()):
        world.sandbox.call("entitlements/hardware/create", configId=hardware, serialNumbers=["FGT60FTK20000002"])
    refused = people.acme.post("entitlements", {"config": hardware, "serial_numbers": ["FGT60FTK20000002"]}).json()
    seen = [told.pop("operation") for told in (foreign, refused)]
    assert {**foreign, "request_id": ""} == {**refused, "request_id": ""}
    assert [one["error"] for one in seen] == [{"code": "not_available", "detail": foreign["detail"]}] * 2
    assert [one["state"] for one in seen] == ["failed", "failed"]
    told = [event["type"] for event in people.acme.get("events").json()["results"]]
    assert told.count("operation.failed") == 2
    deferred = people.acme.post(
        "entitlements", {"config": hardware, "serial_numbers": ["FGT60FTK20000001"]}, Prefer="respond-async"
    )
    assert deferred.status_code == 202


def test_a_change_that_was_not_sent_before_the_hand_over_is_never_sent(people: People, world: SandboxWorld) -> None:
    serial = world.sandbox.create_vm(world.config_id, skipPending=True)[0]
    world.sync()
    give([serial], "acme", today())
    path = f"entitlements/{serial}"
    body = {"description": "acme's own words", "labels": {"acme": "inside"}}
    planned = people.acme.patch(path, body, Prefer="respond-async").json()["operation"]
    give([serial], "globex", today())
    reconcile_operations()
    assert world.calls_of("entitlements/update") == []
    settled = people.acme.get(f"operations/{planned['id']}").json()
    assert (settled["state"], settled["error"]["code"]) == ("failed", "not_available")
    theirs = people.globex.get(path).json()
    assert (theirs["description"], theirs["labels"], theirs["status"]) == ("", {}, "ACTIVE")
    assert people.globex.patch(path, {"description": "ours"}).status_code == 200


@pytest.mark.parametrize("first", ["reconcile", "sync"])
def test_an_outcome_found_after_the_hand_over_leaves_the_new_owners_words(
    people: People, world: SandboxWorld, first: str
) -> None:
    """Whether reconciliation or the mirror's next pass sees what the old owner had written."""
    serial = world.sandbox.create_vm(world.config_id, skipPending=True)[0]
    world.sync()
    give([serial], "acme", today())
    world.sandbox.plan_fault("entitlements/update", "cut", when="after")
    body = {"description": "acme's own words", "labels": {"acme": "inside"}}
    assert people.acme.patch(f"entitlements/{serial}", body).status_code == 202
    give([serial], "globex", today())
    if first == "sync":
        world.sync()
    with acting_as(SETUP):
        Operation.objects.filter(state="unknown").update(next_check_at=clock.now())
    reconcile_operations()
    world.sync()
    theirs = people.globex.get(f"entitlements/{serial}").json()
    assert (theirs["description"], theirs["labels"]) == ("", {})
    assert people.globex.get("entitlements?search=own words").json()["results"] == []
    with acting_as(SETUP):
        assert Operation.objects.filter(state="succeeded", kind="update_entitlement").count() == 1


def test_a_retry_that_the_worker_is_to_send_is_sent_by_the_worker(
    people: People, world: SandboxWorld, config: int
) -> None:
    """A reopened row keeps the moment it was first planned: that says nothing about who is to send it."""
    world.sandbox.plan_fault("entitlements/vm/create", "refuse", when="before")
    body = {"config": config, "count": 1}
    assert people.acme.post("entitlements", body, Idempotency_Key="k").status_code == 503
    with later(1800):
        again = people.acme.post("entitlements", body, Idempotency_Key="k", Prefer="respond-async").json()["operation"]
        assert again["state"] == "planned"
        reconcile_operations()
        assert people.acme.get(f"operations/{again['id']}").json()["state"] == "succeeded"


def test_no_owner_changes_while_fortiflex_is_being_asked(people: People, world: SandboxWorld) -> None:
    serial = world.sandbox.create_vm(world.config_id)[0]
    world.sync()
    give([serial], "acme", today())
    planned = people.acme.post(f"entitlements/{serial}/stop", Prefer="respond-async").json()["operation"]
    with acting_as(SETUP):
        Operation.objects.filter(id=planned["id"]).update(state="sent", sent_at=clock.now())
    body = {"serials": [serial], "tenant": "globex", "from_day": str(today())}
    refused = people.operator.post("assignments", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "in_progress")


@pytest.mark.parametrize(
    "raw", [b'{"config": 1, "count": 1' + b"0" * 40 + b"}", b'{"labels": {"\\ud800": "x"}}', b'{"\\ud800": 1}']
)
def test_odd_json_is_bad_input_and_no_accident(people: People, world: SandboxWorld, raw: bytes) -> None:
    answer = people.acme.send("POST", "entitlements", raw, Idempotency_Key="k")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert people.acme.get("statements/%00").status_code == 404
    assert people.acme.get("entitlements?search=%00").status_code in {400, 404}


def test_what_is_asked_for_and_not_settled_counts_against_the_limit(
    people: People, world: SandboxWorld, config: int
) -> None:
    people.operator.patch("tenants/acme", {"limits": {"entitlements": 1}})
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="after")
    assert people.acme.post("entitlements", {"config": config}).status_code == 202
    assert people.acme.post("entitlements", {"config": config}).json()["code"] == "quota_exceeded"


def test_cancelling_asks_for_the_scope_of_the_write(people: People, world: SandboxWorld, config: int) -> None:
    planned = people.acme.post("entitlements", {"config": config}, Prefer="respond-async")
    assert planned.status_code == 202
    path = f"operations/{planned.json()['operation']['id']}/cancel"
    reader = make_client(slug="acme", scopes=["operations:read"])
    assert reader.post(path).json()["code"] == "insufficient_scope"
    cancelled = people.acme.post(path).json()
    assert (cancelled["state"], cancelled["error"]["code"]) == ("failed", "cancelled")
    assert world.sandbox.entitlements() == []
    again = people.acme.post("entitlements", {"config": config}, Prefer="respond-async").json()["operation"]
    reconcile_operations()
    assert read(again).state == "succeeded"


def test_what_is_found_late_is_owned_from_the_day_it_was_asked_for(
    people: People, world: SandboxWorld, config: int
) -> None:
    from gateway.days import today

    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="after")
    operation = people.acme.post("entitlements", {"config": config, "skip_pending": True}).json()["operation"]
    asked_on = today()
    with later(8 * 86_400):
        reconcile_operations(everything=True)
    with acting_as(SETUP):
        assert Assignment.objects.get(serial_number=read(operation).serial_numbers[0]).from_day == asked_on
