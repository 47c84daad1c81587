"""End dates of a customer's own: what a stop overwrote is put back, and none is sent when its day is over."""

from datetime import timedelta

import pytest
import time_machine

from gateway.days import today
from gateway.models import Operation, Program
from gateway.provisioning.draining import drain_queue
from tenants import clock
from tenants.context import acting_as
from tests.people import SETUP, People
from tests.worlds import SandboxWorld

LATER = {"Prefer": "respond-async"}


@pytest.fixture
def config(people: People, world: SandboxWorld) -> int:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    return world.config_id


def make_vm(people: People, config: int) -> str:
    answer = people.acme.post("entitlements", {"config": config, "skip_pending": True})
    return str(answer.json()["entitlements"][0]["serial_number"])


def in_days(days: int) -> str:
    return (today() + timedelta(days=days)).isoformat()


def last_outcome() -> tuple[str, str, str | None]:
    with acting_as(SETUP):
        row = Operation.objects.latest("id")
    return (row.kind, row.state, (row.error or {}).get("code"))


def drain_tomorrow(world: SandboxWorld) -> None:
    with time_machine.travel(clock.now() + timedelta(days=1), tick=True):
        drain_queue(world.api_user, seconds=5)


def test_the_end_that_was_set_last_is_put_back_also_where_it_was_stopped_elsewhere(
    people: People, world: SandboxWorld, config: int
) -> None:
    serial = make_vm(people, config)
    people.acme.patch(f"entitlements/{serial}", {"end_date": in_days(30)})
    people.acme.post(f"entitlements/{serial}/stop")
    people.acme.post(f"entitlements/{serial}/reactivate")
    people.acme.patch(f"entitlements/{serial}", {"end_date": in_days(60)})
    world.sandbox.call("entitlements/stop", serialNumber=serial)
    world.sync()
    assert people.acme.post(f"entitlements/{serial}/reactivate").status_code == 200
    assert people.acme.get(f"entitlements/{serial}").json()["end_date"] == in_days(60)


def test_a_creation_whose_last_day_passed_in_the_queue_costs_no_error(
    people: People, world: SandboxWorld, config: int
) -> None:
    people.acme.post("entitlements", {"config": config, "end_date": in_days(0)}, **LATER)
    drain_tomorrow(world)
    assert last_outcome() == ("create_vm", "failed", "invalid")
    assert world.calls_of("entitlements/vm/create") == []


def test_a_change_whose_end_passed_in_the_queue_costs_no_error(
    people: People, world: SandboxWorld, config: int
) -> None:
    serial = make_vm(people, config)
    people.acme.patch(f"entitlements/{serial}", {"end_date": in_days(0)}, **LATER)
    drain_tomorrow(world)
    assert last_outcome() == ("update_entitlement", "failed", "invalid")
    assert world.calls_of("entitlements/update") == []


@pytest.mark.parametrize(
    ("change", "code"), [({"end_day": "today"}, "state_conflict"), ({"point_balance": 0}, "insufficient_points")]
)
def test_a_creation_that_waited_is_not_sent_to_a_program_that_takes_no_more(
    people: People, world: SandboxWorld, config: int, change: dict[str, object], code: str
) -> None:
    people.acme.post("entitlements", {"config": config}, **LATER)
    with acting_as(SETUP):
        Program.objects.update(**{name: today() if value == "today" else value for name, value in change.items()})
    drain_tomorrow(world)
    assert last_outcome() == ("create_vm", "failed", code)
    assert world.calls_of("entitlements/vm/create") == []
