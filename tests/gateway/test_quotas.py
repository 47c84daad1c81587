"""A customer's limits: no way of asking, and no two requests at once, lead past them."""

from typing import Any

import pytest

from gateway.days import today
from gateway.models import Config, Operation
from gateway.provisioning.draining import drain_queue
from tenants.context import acting_as
from tenants.models import Tenant
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People
from tests.worlds import ACCOUNT, ENT_2, PROGRAM, SandboxWorld

LATER = {"Prefer": "respond-async"}
ENT_16 = [(1, "16"), (2, "ENT")]
SIZE = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}]
BIGGER = {"parameters": [{"id": 1, "value": "16"}]}
SMALLER = {"parameters": [{"id": 1, "value": "1"}]}
A_LITTLE_BIGGER = {"parameters": [{"id": 1, "value": "4"}]}  # 12.91 instead of 6.39 points a day


@pytest.fixture
def config(people: People, world: SandboxWorld) -> int:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    return world.config_id


@pytest.fixture
def own(people: People, world: SandboxWorld) -> int:
    body = {"program": PROGRAM, "name": "mine", "product_type_id": 1, "parameters": SIZE}
    return int(people.acme.post("configs", body).json()["config"]["id"])


def limit(**limits: Any) -> None:
    with acting_as(SETUP):
        Tenant.objects.filter(slug="acme").update(limits=limits)


def make_vm(people: People, config: int) -> str:
    answer = people.acme.post("entitlements", {"config": config, "skip_pending": True})
    assert answer.status_code == 201, answer.content
    return str(answer.json()["entitlements"][0]["serial_number"])


def offer(people: People, world: SandboxWorld, parameters: list[tuple[int, str]], *, account: int = ACCOUNT) -> int:
    made = world.sandbox.create_config(
        program=PROGRAM,
        name=f"offered {account} {parameters[0][1]}",
        product_type_id=1,
        parameters=parameters,
        account_id=account,
    )
    world.sync()
    people.operator.post(f"configs/{made['id']}/offers", {"tenant": "acme"})
    return int(made["id"])


def code_of(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code")


def changes(world: SandboxWorld) -> list[str]:
    """What was asked of FortiFlex beyond creations, lists and prices."""
    plain = ("list", "calc", "metadata", "token", "points", "create")
    return [call.path for call in world.sandbox.calls if not call.path.rstrip("/").endswith(plain)]


REFUSED = (409, "quota_exceeded")


def test_of_two_reactivations_in_the_queue_the_second_is_counted(
    people: People, world: SandboxWorld, config: int
) -> None:
    serials = [make_vm(people, config), make_vm(people, config)]
    for serial in serials:
        people.acme.post(f"entitlements/{serial}/stop")
    limit(entitlements=1, points_per_day="7")
    first, second = (people.acme.post(f"entitlements/{serial}/reactivate", **LATER) for serial in serials)
    assert (first.status_code, code_of(second)) == (202, REFUSED)
    assert first.json()["operation"]["points_per_day"] == "6.3900"
    assert code_of(people.acme.post("entitlements", {"config": config}, **LATER)) == REFUSED
    drain_queue(world.api_user, seconds=5)
    assert code_of(people.acme.post(f"entitlements/{serials[1]}/reactivate")) == REFUSED


def test_a_config_of_ones_own_is_not_resized_beyond_the_points(people: People, world: SandboxWorld, own: int) -> None:
    make_vm(people, own)
    limit(points_per_day="7")
    assert code_of(people.acme.patch(f"configs/{own}", BIGGER)) == REFUSED
    assert code_of(people.acme.patch(f"configs/{own}", SMALLER))[0] == 200
    assert changes(world) == ["configs/update"]


def test_each_entitlement_of_a_resized_config_counts_those_in_the_queue_too(
    people: People, world: SandboxWorld, own: int
) -> None:
    make_vm(people, own)
    limit(points_per_day="14")
    assert people.acme.post("entitlements", {"config": own}, **LATER).status_code == 202
    assert code_of(people.acme.patch(f"configs/{own}", A_LITTLE_BIGGER)) == REFUSED
    limit(points_per_day="26")
    assert people.acme.patch(f"configs/{own}", A_LITTLE_BIGGER).status_code == 200


def test_wrong_parameters_are_refused_before_anybody_is_asked_what_they_cost(
    people: People, world: SandboxWorld, own: int
) -> None:
    make_vm(people, own)
    limit(points_per_day="7")
    asked = len(world.calls_of("tools/calc"))
    wrong = people.acme.patch(f"configs/{own}", {"parameters": [{"id": 1, "value": "97"}]})
    assert (code_of(wrong), len(world.calls_of("tools/calc"))) == ((400, "invalid"), asked)


def test_nothing_moves_to_a_bigger_config_beyond_the_points(people: People, world: SandboxWorld, config: int) -> None:
    serial, big = make_vm(people, config), offer(people, world, ENT_16)
    limit(points_per_day="7")
    assert code_of(people.acme.patch(f"entitlements/{serial}", {"config": big})) == REFUSED
    people.acme.post(f"entitlements/{serial}/stop")
    assert people.acme.patch(f"entitlements/{serial}", {"config": big}).status_code == 200, "it costs nothing"
    assert code_of(people.acme.post(f"entitlements/{serial}/reactivate")) == REFUSED


def test_nothing_is_transferred_to_a_bigger_config_beyond_the_points(
    people: People, world: SandboxWorld, config: int
) -> None:
    world.sandbox.add_account(ACCOUNT + 1)
    serial = make_vm(people, config)
    big, same = (offer(people, world, size, account=ACCOUNT + 1) for size in (ENT_16, ENT_2))
    limit(points_per_day="7")
    path, body = f"entitlements/{serial}/transfer", {"account_id": ACCOUNT + 1}
    assert code_of(people.acme.post(path, body | {"config": big})) == REFUSED
    assert people.acme.post(path, body | {"config": same}).status_code == 200


def test_of_two_resizes_in_the_queue_the_second_is_counted(people: People, world: SandboxWorld, config: int) -> None:
    serials = [make_vm(people, config), make_vm(people, config)]
    limit(points_per_day="20")
    first, second = (people.acme.patch(f"entitlements/{serial}", A_LITTLE_BIGGER, **LATER) for serial in serials)
    assert (first.status_code, code_of(second)) == (202, REFUSED)
    assert first.json()["operation"]["points_per_day"] == "6.5200"
    drain_queue(world.api_user, seconds=5)
    assert code_of(people.acme.patch(f"entitlements/{serials[1]}", A_LITTLE_BIGGER)) == REFUSED


def test_what_came_from_elsewhere_and_was_never_priced_counts(people: People, world: SandboxWorld, config: int) -> None:
    big = world.add_config("big", ENT_16)
    [serial] = world.sandbox.create_vm(big, skipPending=True)
    world.sync()
    give([serial], "acme", today())
    limit(points_per_day="10")
    assert code_of(people.acme.post("entitlements", {"config": config})) == REFUSED


def test_a_price_that_fortiflex_refuses_locks_nobody_out(people: People, world: SandboxWorld, config: int) -> None:
    retired = world.add_config("retired", ENT_2)
    [serial] = world.sandbox.create_vm(retired, skipPending=True)
    world.sync()
    give([serial], "acme", today())
    with acting_as(SETUP):
        Config.objects.filter(id=retired).update(parameters=[{"id": 1, "value": "2"}, {"id": 2, "value": "GONE"}])
    limit(points_per_day="10")
    assert people.acme.post("entitlements", {"config": config}).status_code == 201
    with acting_as(SETUP):
        assert Operation.objects.latest("id").state == "succeeded"
