"""What nobody foresaw about one operation must not stop the others: it is logged, put off for longer each time, and passed by."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from structlog.testing import capture_logs

from gateway.models import Attempt, Operation
from gateway.provisioning.draining import drain_queue
from gateway.reconciliation import reconcile_operations
from tenants import clock
from tenants.context import acting_as
from tests.people import SETUP, People
from tests.worlds import ENT_2, PROGRAM, SandboxWorld

PARAMETERS = [{"id": key, "value": value} for key, value in ENT_2]


@pytest.fixture
def config(people: People, world: SandboxWorld) -> int:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    return world.config_id


def read(operation: dict[str, Any]) -> Operation:
    with acting_as(SETUP):
        return Operation.objects.get(id=operation["id"])


def lost(people: People, world: SandboxWorld, config: int, when: str) -> dict[str, Any]:
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when=when)  # type: ignore[arg-type]
    operation: dict[str, Any] = people.acme.post("entitlements", {"config": config}).json()["operation"]
    return operation


def test_one_that_can_not_be_concluded_does_not_stop_the_next(people: People, world: SandboxWorld, config: int) -> None:
    broken = lost(people, world, config, "before")
    with acting_as(SETUP):
        # A time that is none: the look succeeds, and counting the looks that agree does not.
        Operation.objects.filter(id=broken["id"]).update(evidence=[{"at": 5, "verdict": "absent"}])
    sound = lost(people, world, config, "after")
    with capture_logs() as logs:
        report = reconcile_operations(everything=True)
    assert [str(row.id) for row in report.settled] == [sound["id"]]
    assert [str(row.id) for row in report.still_unknown] == [broken["id"]]
    told = [entry for entry in logs if entry["event"] == "operation not settled"]
    assert [(entry["operation"], entry["log_level"]) for entry in told] == [(broken["id"], "error")]
    row = read(broken)
    assert (row.state, row.evidence[-1]["stumbled"], row.evidence[-1]["over"]) == ("unknown", 1, "TypeError")


def test_one_that_can_not_be_looked_for_does_not_stop_the_next(
    people: People, world: SandboxWorld, config: int
) -> None:
    world.sandbox.plan_fault("configs/create", "cut", when="before")
    body = {"program": PROGRAM, "name": "mine", "product_type_id": 1, "parameters": PARAMETERS}
    broken = people.acme.post("configs", body).json()["operation"]
    with acting_as(SETUP):
        Attempt.objects.filter(operation_id=broken["id"]).update(request={})
    sound = lost(people, world, config, "after")
    report = reconcile_operations(everything=True)
    assert [str(row.id) for row in report.settled] == [sound["id"]]
    assert read(broken).evidence[-1]["over"] == "KeyError"


def test_it_is_put_off_for_longer_each_time_and_mended_it_is_settled(
    people: People, world: SandboxWorld, config: int
) -> None:
    broken = lost(people, world, config, "before")
    with acting_as(SETUP):
        Operation.objects.filter(id=broken["id"]).update(evidence=[{"at": 5, "verdict": "absent"}])
    waits, now = [], clock.now()
    for hours in range(9):
        moment = now + timedelta(hours=2 * hours + 1)
        with time_machine.travel(moment, tick=False):
            reconcile_operations()
            row = read(broken)
            assert row.next_check_at is not None
            waits.append(round((row.next_check_at - moment).total_seconds()))
    assert waits == [120, 120, 240, 480, 960, 1920, 3600, 3600, 3600]  # the first wait is the claim's own
    assert len(row.evidence) == 2, "one entry for all in a row"
    with acting_as(SETUP):
        Operation.objects.filter(id=broken["id"]).update(evidence=[])
    for hours in (30, 31):
        with time_machine.travel(now + timedelta(hours=hours), tick=True):
            reconcile_operations()
    assert read(broken).state == "failed"


def test_one_that_can_not_be_sent_does_not_hold_up_the_queue(people: People, world: SandboxWorld, config: int) -> None:
    """It would be chosen again each time: its tenant is the one that was served longest ago."""
    body = {"program": PROGRAM, "name": "mine", "product_type_id": 1, "parameters": PARAMETERS}
    broken = people.acme.post("configs", body, Prefer="respond-async").json()["operation"]
    sound = people.acme.post("entitlements", {"config": config}, Prefer="respond-async").json()["operation"]
    with acting_as(SETUP):
        Operation.objects.filter(id=broken["id"]).update(intent={})
    with capture_logs() as logs:
        drain_queue(world.api_user, seconds=20)
    assert [entry["operation"] for entry in logs if entry["event"] == "operation not sent"] == [broken["id"]]
    assert (read(broken).state, read(sound).state) == ("planned", "succeeded")
