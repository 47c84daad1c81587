"""Transfers, removed hardware, and changes that need a config first: both halves happen, whatever becomes of the first answer."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from gateway.days import today
from gateway.models import Assignment, Config, Operation, Placement
from gateway.reconciliation import reconcile_operations
from tenants import clock
from tenants.context import acting_as
from tests.people import SETUP, People
from tests.worlds import ACCOUNT, ENT_2, PROGRAM, SandboxWorld

OTHER = ACCOUNT + 1
FORTIGATE = [(27, "FGT60F"), (28, "FGHWUTP"), (29, "NONE")]
DEVICE = "FGT60FTK20000001"


@pytest.fixture
def offered(people: People, world: SandboxWorld) -> int:
    world.sandbox.add_account(OTHER)
    world.sandbox.create_config(
        program=PROGRAM, name="elsewhere", product_type_id=2, parameters=[(30, "5"), (9, "1")], account_id=OTHER
    )
    world.sync()
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    return world.config_id


def create(people: People, config: int, **more: Any) -> str:
    answer = people.acme.post("entitlements", {"config": config, **more})
    assert answer.status_code == 201, answer.content
    return str(answer.json()["entitlements"][0]["serial_number"])


def settle_later(minutes: int = 10) -> None:
    for step in range(3):
        with time_machine.travel(clock.now() + timedelta(minutes=minutes + step), tick=True):
            reconcile_operations(everything=True)


def kinds() -> list[tuple[str, str]]:
    with acting_as(SETUP):
        return list(Operation.objects.order_by("id").values_list("kind", "state"))


def test_a_transfer_makes_the_config_it_needs_and_keeps_the_history(
    people: People, world: SandboxWorld, offered: int
) -> None:
    serial = create(people, offered, description="branch", labels={"site": "Bonn"})
    moved = people.acme.post(f"entitlements/{serial}/transfer", {"account_id": OTHER})
    assert moved.status_code == 200, moved.content
    assert kinds()[1:] == [("create_config", "succeeded"), ("transfer", "succeeded")]
    row = people.acme.get(f"entitlements/{serial}").json()
    assert (row["account_id"], row["description"], row["labels"]) == (OTHER, "branch", {"site": "Bonn"})
    copy = people.acme.get(f"configs/{row['config']}").json()
    assert (copy["tenant"], copy["account_id"], copy["name"]) == ("acme", OTHER, "fgt-2c-ent")
    assert {(p["id"], p["value"]) for p in copy["parameters"]} >= set(ENT_2)
    with acting_as(SETUP):
        places = list(Placement.objects.order_by("from_day", "until_day").values_list("account_id", "until_day"))
        assert Assignment.objects.get(serial_number=serial).tenant.slug == "acme"
    assert places[-1] == (OTHER, None)
    world.sync()
    assert people.acme.get(f"entitlements/{serial}").json()["config"] == row["config"]


def test_a_second_transfer_uses_the_config_that_the_first_made(
    people: People, world: SandboxWorld, offered: int
) -> None:
    for _ in range(2):
        serial = create(people, offered)
        people.acme.post(f"entitlements/{serial}/transfer", {"account_id": OTHER})
    assert [kind for kind, _ in kinds()].count("create_config") == 1


def test_a_transfer_whose_answer_is_lost_is_found_in_the_other_account(
    people: People, world: SandboxWorld, offered: int
) -> None:
    serial = create(people, offered)
    world.sandbox.plan_fault("entitlements/transfer", "cut", when="after")
    answer = people.acme.post(f"entitlements/{serial}/transfer", {"account_id": OTHER})
    assert (answer.status_code, answer.json()["operation"]["state"]) == (202, "unknown")
    settle_later()
    assert kinds()[-1] == ("transfer", "succeeded")
    assert people.acme.get(f"entitlements/{serial}").json()["account_id"] == OTHER
    assert len(world.calls_of("entitlements/transfer")) == 1


def test_a_transfer_follows_a_config_whose_answer_was_lost(people: People, world: SandboxWorld, offered: int) -> None:
    serial = create(people, offered)
    world.sandbox.plan_fault("configs/create", "http_500", when="after")
    assert people.acme.post(f"entitlements/{serial}/transfer", {"account_id": OTHER}).status_code == 202
    settle_later()
    assert kinds()[1:] == [("create_config", "succeeded"), ("transfer", "succeeded")]
    assert people.acme.get(f"entitlements/{serial}").json()["account_id"] == OTHER


def test_a_foreign_account_answers_as_one_that_does_not_exist(
    people: People, world: SandboxWorld, offered: int
) -> None:
    serial = create(people, offered)
    people.operator.patch("tenants/acme", {"account_ids": [ACCOUNT]})
    foreign = people.acme.post(f"entitlements/{serial}/transfer", {"account_id": OTHER})
    unknown = people.acme.post(f"entitlements/{serial}/transfer", {"account_id": 999999})
    assert (foreign.status_code, foreign.json()["code"]) == (400, "invalid")
    assert {**foreign.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}


def test_a_removed_device_can_be_registered_by_its_next_owner(
    people: People, world: SandboxWorld, offered: int
) -> None:
    hardware = world.add_config("hw", FORTIGATE, product_type_id=101)
    world.sync()
    for slug in ("acme", "globex"):
        people.operator.post(f"configs/{hardware}/offers", {"tenant": slug})
    body = {"config": hardware, "serial_numbers": [DEVICE], "description": "of acme"}
    assert people.acme.post("entitlements", body).status_code == 201
    taken = people.globex.post("entitlements", body | {"description": "of globex"})
    assert taken.json()["code"] == "not_available"
    removed = people.acme.post(f"entitlements/{DEVICE}/remove")
    assert removed.status_code == 200
    assert world.sandbox.entitlements() == []
    with time_machine.travel(clock.now() + timedelta(days=2), tick=True):
        made = people.globex.post("entitlements", body | {"description": "of globex"})
        assert made.status_code == 201, made.content
        assert people.globex.get(f"entitlements/{DEVICE}").json()["description"] == "of globex"
        assert people.acme.get(f"entitlements/{DEVICE}").status_code == 404
        with acting_as(SETUP):
            periods = list(Assignment.objects.order_by("from_day").values_list("tenant__slug", "from_day", "until_day"))
        assert [(slug, until is None) for slug, _, until in periods] == [("acme", False), ("globex", True)]
        assert periods[0][2] == periods[1][1] == today()


def test_a_virtual_machine_can_not_be_removed(people: People, world: SandboxWorld, offered: int) -> None:
    serial = create(people, offered)
    answer = people.acme.post(f"entitlements/{serial}/remove")
    assert (answer.status_code, answer.json()["code"]) == (409, "state_conflict")
    assert world.calls_of("entitlements/hardware/remove") == []


def test_a_resize_of_one_under_a_shared_config_changes_text_and_size_in_one_request(
    people: People, world: SandboxWorld, offered: int
) -> None:
    serial, other = create(people, offered), create(people, offered)
    changes = {"parameters": [{"id": 1, "value": "4"}], "description": "bigger"}
    answer = people.acme.patch(f"entitlements/{serial}", changes)
    assert answer.status_code == 200, answer.content
    row = answer.json()
    assert (row["description"], row["moved_from_config"]) == ("bigger", offered)
    assert row["config"] != offered
    assert people.acme.get(f"entitlements/{other}").json()["config"] == offered
    with acting_as(SETUP):
        mine = Config.objects.get(id=row["config"])
        assert mine.tenant is not None
        assert mine.tenant.slug == "acme"
        assert {"id": 1, "value": "4"} in mine.parameters


def test_a_resize_whose_config_was_made_and_not_told_is_finished_by_itself(
    people: People, world: SandboxWorld, offered: int
) -> None:
    serial, _ = create(people, offered), create(people, offered)
    world.sandbox.plan_fault("configs/create", "cut", when="after")
    changes = {"parameters": [{"id": 1, "value": "4"}], "description": "bigger"}
    assert people.acme.patch(f"entitlements/{serial}", changes).status_code == 202
    settle_later()
    row = people.acme.get(f"entitlements/{serial}").json()
    assert (row["description"], row["config"] != offered) == ("bigger", True)
    assert len(world.calls_of("configs/create")) == 1


@pytest.mark.parametrize(
    ("prefer", "status"),
    [
        ("respond-async", 202),
        ("wait=0", 202),
        ("return=minimal, respond-async", 202),
        ("respond-async, wait=10", 201),
        ("wait=10", 201),
        ('wait="10"', 201),
        ("wait=soon", 201),
        ("WAIT = 10 ; x=y", 201),
        ("handling=strict", 201),
    ],
)
def test_both_forms_of_prefer_are_understood_and_what_is_not_is_ignored(
    people: People, world: SandboxWorld, offered: int, prefer: str, status: int
) -> None:
    assert people.acme.post("entitlements", {"config": offered}, Prefer=prefer).status_code == status
