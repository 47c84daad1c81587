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
