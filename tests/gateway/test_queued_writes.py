"""What is told of writes that wait or are under way: what they cost, and when to look again."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.models import Config, Operation, UpstreamCall
from gateway.provisioning.draining import drain_queue
from tenants import clock
from tenants.context import acting_as
from tests.people import SETUP, ApiClient, People
from tests.worlds import PROGRAM, SandboxWorld

SIZE = [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}]
KEY = {"Idempotency-Key": "one"}


def make_config(who: ApiClient) -> int:
    body = {"program": PROGRAM, "name": "mine", "product_type_id": 1, "parameters": SIZE}
    return int(who.post("configs", body).json()["config"]["id"])


def test_each_creation_in_the_queue_says_what_it_costs(people: People, world: SandboxWorld) -> None:
    """Whoever's price was just asked for was served with that: the next to be sent is another's."""
    for who in (people.acme, people.globex):
        config = make_config(who)
        assert who.post("entitlements", {"config": config}, Prefer="respond-async").status_code == 202
    with acting_as(SETUP):
        UpstreamCall.objects.all().delete()
        Config.objects.update(points_per_day=None)
    drain_queue(world.api_user, seconds=10)
    with acting_as(SETUP):
        made = Operation.objects.filter(kind="create_vm").order_by("id")
        assert [(row.state, str(row.points_per_day)) for row in made] == [("succeeded", "6.3900")] * 2


@pytest.mark.parametrize(
    ("standing", "shortest", "longest"),
    [
        ({"state": "sent", "next_check_at": timedelta(seconds=110)}, 5, 5),
        ({"state": "unknown", "next_check_at": timedelta(seconds=50)}, 45, 50),
        ({"state": "unknown", "next_check_at": None}, 900, 900),  # a person has to look
    ],
)
def test_who_asks_again_is_told_when_it_is_worth_while(
    people: People, world: SandboxWorld, standing: dict[str, Any], shortest: int, longest: int
) -> None:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    world.sandbox.plan_fault("entitlements/vm/create", "cut")
    body = {"config": world.config_id}
    people.acme.post("entitlements", body, **KEY)
    due = standing["next_check_at"]
    with acting_as(SETUP):
        Operation.objects.update(state=standing["state"], next_check_at=due and clock.now() + due)
    again = people.acme.post("entitlements", body, **KEY)
    assert again.status_code == 202
    assert shortest <= int(again.headers["Retry-After"]) <= longest
