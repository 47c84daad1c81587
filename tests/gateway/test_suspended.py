"""A tenant that is suspended while something of its own is under way: what it asked for is not sent; what others want for it is."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from gateway import upstream
from gateway.models import Operation
from gateway.provisioning.closing import read_operation
from gateway.provisioning.draining import drain_queue
from gateway.provisioning.senders import send_within
from gateway.reconciliation import reconcile_operations
from tenants.context import acting_as
from tests.gateway.test_switched_off import During, outcomes
from tests.people import SETUP, People
from tests.worlds import ACCOUNT, PROGRAM, SandboxWorld

LATER = {"Prefer": "respond-async"}
SUSPENDED = "The customer was suspended before this was sent; nothing was done."
DEVICE = "FGT60FTK20000001"
BIGGER = {"parameters": [{"id": 1, "value": "4"}], "description": "bigger"}
SIZE = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}]
CONFIG = {"program": PROGRAM, "name": "globex's", "product_type_id": 1, "parameters": SIZE}


@pytest.fixture
def config(people: People, world: SandboxWorld) -> int:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    return world.config_id


def other_account(world: SandboxWorld) -> int:
    world.sandbox.add_account(ACCOUNT + 1)
    world.sandbox.create_config(
        program=PROGRAM, name="elsewhere", product_type_id=2, parameters=[(30, "5"), (9, "1")], account_id=ACCOUNT + 1
    )
    world.sync()
    return ACCOUNT + 1


def suspend(people: People) -> None:
    assert people.operator.patch("tenants/acme", {"status": "suspended"}).status_code == 200


def make_vm(people: People, config: int) -> str:
    made = people.acme.post("entitlements", {"config": config, "skip_pending": True}).json()
    return str(made["entitlements"][0]["serial_number"])


def drain(world: SandboxWorld) -> None:
    drain_queue(world.api_user, seconds=20)


def send_by_itself(world: SandboxWorld) -> None:
    """As the request does that has just planned it."""
    with acting_as(SETUP):
        planned = Operation.objects.get(state="planned").id
    send_within(read_operation(planned), 5)


def reconcile_alone(world: SandboxWorld) -> None:
    reconcile_operations(drain=False)


@pytest.mark.parametrize("turn", [drain, send_by_itself, reconcile_alone])
def test_a_creation_in_the_queue_is_not_sent(
    people: People, world: SandboxWorld, config: int, turn: Callable[[SandboxWorld], None]
) -> None:
    queued = people.acme.post("entitlements", {"config": config}, **LATER).json()["operation"]["id"]
    suspend(people)
    turn(world)
    people.operator.patch("tenants/acme", {"status": "active"})
    drain(world)
    told = people.acme.get(f"operations/{queued}").json()
    assert (told["state"], told["error"]) == ("failed", {"code": "not_available", "detail": SUSPENDED})
    assert world.calls_of("entitlements/vm/create") == []
    make_vm(people, config)  # what is asked for after that is sent


def test_a_stop_in_the_queue_is_not_sent_either(people: People, world: SandboxWorld, config: int) -> None:
    """Whoever stole a token must not switch off what the suspension was to save."""
    serial = make_vm(people, config)
    assert people.acme.post(f"entitlements/{serial}/stop", **LATER).status_code == 202
    suspend(people)
    drain(world)
    assert outcomes()[1:] == [("stop", "failed", "not_available")]
    assert world.calls_of("entitlements/stop") == []


def test_what_the_operator_asked_for_is_sent(people: People, world: SandboxWorld, config: int) -> None:
    serial = make_vm(people, config)
    assert people.operator.post(f"entitlements/{serial}/stop", **LATER).status_code == 202
    body = {"config": config, "tenant": "acme"}
    assert people.operator.post("entitlements", body, **LATER).status_code == 202
    people.globex.post("configs", CONFIG, **LATER)
    suspend(people)
    reconcile_alone(world)
    drain(world)
    assert sorted(outcomes()[1:]) == [
        ("create_config", "succeeded", None),
        ("create_vm", "succeeded", None),
        ("stop", "succeeded", None),
    ]


def test_the_second_half_of_a_customers_wish_is_not_sent(people: People, world: SandboxWorld, config: int) -> None:
    serial, _ = make_vm(people, config), make_vm(people, config)
    upstream.install_transport(During(world, "configs/create", lambda: suspend(people)))
    people.acme.patch(f"entitlements/{serial}", BIGGER)
    assert outcomes()[2:] == [("create_config", "succeeded", None), ("update_entitlement", "failed", "not_available")]
    assert world.calls_of("entitlements/update") == []


def test_the_second_half_of_the_operators_wish_is_sent(people: People, world: SandboxWorld, config: int) -> None:
    serial, _ = make_vm(people, config), make_vm(people, config)
    people.operator.post(f"entitlements/{serial}/transfer", {"account_id": other_account(world)}, **LATER)
    suspend(people)
    drain(world)
    assert outcomes()[2:] == [("create_config", "succeeded", None), ("transfer", "succeeded", None)]


def test_what_the_gateway_itself_wants_is_sent(people: People, world: SandboxWorld, config: int) -> None:
    """The text that says whose a device is, and the end date that a stop overwrote: the one tells, the other saves."""
    serial, end = make_vm(people, config), (world.sandbox.clock.today() + timedelta(days=90)).isoformat()
    people.acme.patch(f"entitlements/{serial}", {"end_date": end})
    people.acme.post(f"entitlements/{serial}/stop")
    upstream.install_transport(During(world, "entitlements/reactivate", lambda: suspend(people)))
    people.acme.post(f"entitlements/{serial}/reactivate")
    assert outcomes()[-2:] == [("reactivate", "succeeded", None), ("update_entitlement", "succeeded", None)]
    people.operator.patch("tenants/acme", {"status": "active"})
    hardware = world.add_config("hw", [(27, "FGT60F"), (28, "FGHWUTP"), (29, "NONE")], product_type_id=101)
    world.sync()
    people.operator.post(f"configs/{hardware}/offers", {"tenant": "acme"})
    upstream.install_transport(During(world, "hardware/create", lambda: suspend(people)))
    people.acme.post("entitlements", {"config": hardware, "serial_numbers": [DEVICE], "description": "branch"})
    assert outcomes()[-2:] == [("create_hardware", "succeeded", None), ("update_entitlement", "succeeded", None)]
