"""Owners that tags propose: for what nobody ever had a say about, and for nothing else."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.core.management import call_command

from gateway.days import today
from gateway.models import Assignment, Entitlement
from gateway.reconciliation import reconcile_operations
from gateway.tags import join_tag, make_tag
from tenants import ids
from tenants.context import acting_as
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People
from tests.worlds import SandboxWorld


def tagged(world: SandboxWorld, slug: str) -> str:
    text = join_tag("x", make_tag(slug, ids.new_id(), 1))
    return str(world.sandbox.create_vm(world.config_id, skipPending=True, description=text)[0])


def proposed(people: People) -> list[tuple[Any, ...]]:
    rows = people.operator.get("assignments/proposals").json()["results"]
    return [(row["serial_number"], row["tenant"], row["from_day"]) for row in rows]


def history(serial: str) -> list[tuple[str, date, date | None]]:
    with acting_as(SETUP):
        rows = Assignment.objects.filter(serial_number=serial).order_by("from_day")
        return list(rows.values_list("tenant__slug", "from_day", "until_day"))


def test_a_tag_does_not_give_back_what_was_taken_away(people: People, world: SandboxWorld) -> None:
    serial, never_owned = tagged(world, "acme"), tagged(world, "acme")
    world.sync()
    day = today()
    give([serial], "acme", day - timedelta(days=50))
    give([serial], "globex", day - timedelta(days=30))
    give([serial], None, day - timedelta(days=5))
    before = history(serial)
    world.sandbox.stop(serial)  # so that the next pass looks at it, tag and all
    world.sync()
    assert proposed(people) == [(never_owned, "acme", str(day))]
    call_command("sync", "--rebuild", "--confirm")
    assert history(serial) == before
    assert history(never_owned) == [("acme", day, None)]


def test_a_tag_does_not_replace_a_hand_over_that_is_arranged(people: People, world: SandboxWorld) -> None:
    serial = tagged(world, "acme")
    world.sync()
    give([serial], "globex", today() + timedelta(days=5))
    before = history(serial)
    assert proposed(people) == []
    call_command("sync", "--rebuild", "--confirm")
    assert history(serial) == before


@pytest.mark.parametrize("product", ["vm", "cloud"])
def test_what_a_creation_still_asks_for_is_left_to_it(people: People, world: SandboxWorld, product: str) -> None:
    config, path = world.config_id, "entitlements/vm/create"
    if product == "cloud":
        config, path = (
            world.add_config("cloud", [(32, "10"), (33, "1")], product_type_id=202),
            "entitlements/cloud/create",
        )
        world.sync()
    people.operator.post(f"configs/{config}/offers", {"tenant": "acme"})
    world.sandbox.plan_fault(path, "cut", when="after")
    operation = people.acme.post("entitlements", {"config": config}).json()["operation"]
    assert operation["state"] == "unknown"
    world.sync()
    assert proposed(people) == []
    call_command("sync", "--rebuild", "--confirm")
    reconcile_operations(everything=True)
    settled = people.acme.get(f"operations/{operation['id']}").json()
    assert (settled["state"], len(settled["entitlements"])) == ("succeeded", 1)
    assert [row[0] for row in history(settled["entitlements"][0])] == ["acme"]


def test_a_start_that_lies_ahead_is_no_day_to_wait_for(people: People, world: SandboxWorld) -> None:
    serial = tagged(world, "acme")
    world.sync()
    with acting_as(SETUP):
        Entitlement.objects.update(start_day=today() + timedelta(days=3))
    assert proposed(people) == [(serial, "acme", str(today()))]
