"""Assignments over REST."""

from datetime import timedelta

from gateway.days import today
from tests.people import People
from tests.worlds import SandboxWorld


def test_what_is_assigned_already_is_answered_as_it_stands(people: People, world: SandboxWorld) -> None:
    serial = world.sandbox.create_vm(world.config_id)[0]
    world.sync()
    first = {"serials": [serial], "tenant": "acme", "from_day": str(today())}
    made = people.operator.post("assignments", first)
    again = people.operator.post("assignments", first | {"from_day": str(today() + timedelta(days=1))})
    assert (made.status_code, again.status_code) == (201, 201)
    assert again.json() == made.json()
