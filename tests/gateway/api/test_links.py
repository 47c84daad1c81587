"""What was asked for at once and takes two writes: whoever is told of the first finds the second, and nobody finds another's."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.models import Operation
from gateway.provisioning.draining import drain_queue
from tenants.context import acting_as
from tests.people import SETUP, ApiClient, People, make_client
from tests.worlds import ACCOUNT, PROGRAM, SandboxWorld

OTHER = ACCOUNT + 1
BIGGER = {"parameters": [{"id": 1, "value": "4"}], "description": "bigger"}
LATER = {"Prefer": "respond-async"}


@pytest.fixture
def serial(people: People, world: SandboxWorld) -> str:
    """One of acme's under a config that is offered to it."""
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    made = people.acme.post("entitlements", {"config": world.config_id, "skip_pending": True}).json()
    return str(made["entitlements"][0]["serial_number"])


def drain(world: SandboxWorld) -> None:
    drain_queue(world.api_user, seconds=20)


def show(who: ApiClient, *ids: Any) -> list[tuple[str, str, str | None, str | None]]:
    """Kind, state, `follows` and `followed_by` of each; the list must say the same."""
    listed = {row["id"]: row for row in who.get("operations").json()["results"]}
    found = [who.get(f"operations/{id}").json() for id in ids]
    assert found == [listed[str(id)] for id in ids]
    return [(row["kind"], row["state"], row["follows"], row["followed_by"]) for row in found]


def ids_of(*kinds: str) -> Sequence[UUID]:
    with acting_as(SETUP):
        return [row.id for row in Operation.objects.filter(kind__in=kinds).order_by("id")]


def test_both_halves_of_a_resize_name_each_other(people: People, world: SandboxWorld, serial: str) -> None:
    first = people.acme.patch(f"entitlements/{serial}", BIGGER, **LATER).json()["operation"]
    assert (first["kind"], first["follows"], first["followed_by"]) == ("create_config", None, None)
    drain(world)
    [second] = ids_of("update_entitlement")
    assert show(people.acme, first["id"], second) == [
        ("create_config", "succeeded", None, str(second)),
        ("update_entitlement", "succeeded", first["id"], None),
    ]
    assert show(people.operator, second) == show(people.acme, second)


def test_the_second_half_is_named_before_it_is_sent(people: People, world: SandboxWorld, serial: str) -> None:
    world.sandbox.plan_fault("entitlements/update", "http_429")
    first = people.acme.patch(f"entitlements/{serial}", BIGGER, **LATER).json()["operation"]
    drain(world)
    [second] = ids_of("update_entitlement")
    assert show(people.acme, first["id"], second) == [
        ("create_config", "succeeded", None, str(second)),
        ("update_entitlement", "planned", first["id"], None),
    ]


def test_a_202_for_the_second_half_says_what_it_follows(people: People, world: SandboxWorld, serial: str) -> None:
    world.sandbox.plan_fault("entitlements/update", "cut", when="after")
    answer = people.acme.patch(f"entitlements/{serial}", BIGGER)
    [first] = ids_of("create_config")
    told = answer.json()["operation"]
    assert (answer.status_code, told["kind"], told["follows"]) == (202, "update_entitlement", str(first))


def test_a_transfer_names_the_config_it_waited_for(people: People, world: SandboxWorld, serial: str) -> None:
    world.sandbox.add_account(OTHER)
    world.sandbox.create_config(
        program=PROGRAM, name="elsewhere", product_type_id=2, parameters=[(30, "5"), (9, "1")], account_id=OTHER
    )
    world.sync()
    first = people.acme.post(f"entitlements/{serial}/transfer", {"account_id": OTHER}, **LATER).json()["operation"]
    drain(world)
    [second] = ids_of("transfer")
    assert show(people.acme, first["id"], second) == [
        ("create_config", "succeeded", None, str(second)),
        ("transfer", "succeeded", first["id"], None),
    ]


def test_what_changed_hands_meanwhile_is_followed_by_nothing(people: People, world: SandboxWorld, serial: str) -> None:
    world.sandbox.plan_fault("configs/create", "cut", when="before")
    first = people.acme.patch(f"entitlements/{serial}", BIGGER).json()["operation"]["id"]
    made = world.add_config("by hand", [(1, "4"), (2, "ENT")])
    day = world.sandbox.clock.today().isoformat()
    people.operator.post("assignments", {"serials": [serial], "tenant": "globex", "from_day": day})
    world.sync()
    people.operator.post(f"operations/{first}/resolve", {"done": True, "reason": "seen", "config": made})
    assert show(people.acme, first) == [("create_config", "succeeded", None, None)]


def test_a_devices_text_and_an_end_date_are_found_from_what_they_follow(
    people: People, world: SandboxWorld, serial: str
) -> None:
    hardware = world.add_config("hw", [(27, "FGT60F"), (28, "FGHWUTP"), (29, "NONE")], product_type_id=101)
    world.sync()
    people.operator.post(f"configs/{hardware}/offers", {"tenant": "acme"})
    devices = ["FGT60FTK20000001", "FGT60FTK20000002"]
    body = {"config": hardware, "serial_numbers": devices, "description": "branch"}
    creation = people.acme.post("entitlements", body).json()["operation"]
    one, last = ids_of("update_entitlement")
    assert creation["followed_by"] == str(last)
    assert [row[2:] for row in show(people.acme, creation["id"], one, last)] == [
        (None, str(last)),
        (creation["id"], None),
        (creation["id"], None),
    ]
    end = world.sandbox.clock.today().replace(year=world.sandbox.clock.today().year + 1, day=1).isoformat()
    people.acme.patch(f"entitlements/{serial}", {"end_date": end})
    people.acme.post(f"entitlements/{serial}/stop")
    people.acme.post(f"entitlements/{serial}/reactivate")
    [reactivation] = ids_of("reactivate")
    restored = ids_of("update_entitlement")[-1]
    assert [row[2:] for row in show(people.acme, reactivation, restored)] == [
        (None, str(restored)),
        (str(reactivation), None),
    ]


def test_what_is_anothers_is_not_named(people: People, world: SandboxWorld, serial: str) -> None:
    """None is planned so; but whoever may not see an operation must not learn its id either."""
    people.acme.patch(f"entitlements/{serial}", BIGGER)
    [first], [second] = ids_of("create_config"), ids_of("update_entitlement")
    assert [row[2:] for row in show(people.acme, first, second)] == [(None, str(second)), (str(first), None)]
    narrowed = make_client(slug="acme", scopes=["operations:read"], entitlements=[serial])
    assert narrowed.get(f"operations/{first}").status_code == 404
    assert [row[2:] for row in show(narrowed, second)] == [(None, None)]
    with acting_as(SETUP):
        Operation.objects.filter(id=second).update(tenant=People.tenant("globex"))
    assert [row[2:] for row in show(people.acme, first)] == [(None, None)]
    assert [row[2:] for row in show(people.globex, second)] == [(None, None)]
    assert [row[2:] for row in show(people.operator, first, second)] == [(None, str(second)), (str(first), None)]


def copy(id: UUID, *, number: int, **changes: Any) -> UUID:
    """Another row like this one."""
    with acting_as(SETUP):
        row = Operation.objects.get(id=id)
        row.id, row.idempotency_key, row._state.adding = UUID(int=number), None, True
        row.intent |= changes
        row.save()
        return row.id


@pytest.mark.parametrize("who", ["acme", "operator"])
def test_links_take_one_round_trip_for_a_whole_page(people: People, world: SandboxWorld, serial: str, who: str) -> None:
    client: ApiClient = getattr(people, who)

    def count(number: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert len(client.get("operations").json()["results"]) == number
        return len(captured)

    without = count(1)
    people.acme.patch(f"entitlements/{serial}", BIGGER)
    with_one = count(3)
    [first], [second] = ids_of("create_config"), ids_of("update_entitlement")
    firsts = [copy(first, number=number) for number in (1, 2)]
    seconds = [copy(second, number=number, follows=str(firsts[number % 2])) for number in (4, 5)]
    assert (with_one, count(7)) == (without + 1, without + 1)
    assert [row[3] for row in show(client, *firsts)] == [str(id) for id in seconds]
