"""Descriptions at FortiFlex follow their owners where the operator wants that: a few at a time, never against FortiFlex or people."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine

from gateway import tasks
from gateway.models import ApiUser, Entitlement, Operation
from gateway.ownership import forget_day
from gateway.reconciliation import reconcile_operations
from gateway.tag_following import follow_tags, is_in_line
from gateway.tags import join_tag, make_tag, split_tag
from tenants import clock, ids
from tenants.context import acting_as
from tenants.leases import lease_for
from tests.gateway.ledger.scenes import give, noon_of, vm, world_on
from tests.people import SETUP, People
from tests.worlds import SandboxWorld

TODAY = date(2026, 8, 20)
START = TODAY - timedelta(days=12)


@pytest.fixture
def following(people: People) -> Iterator[SandboxWorld]:
    with noon_of(TODAY):
        world = world_on(TODAY)
        people.operator.patch("api-users/main", {"tags_follow": True})
        yield world


def follow(**more: Any) -> Any:
    with acting_as(SETUP):
        api_user = ApiUser.objects.get(name="main")
    return follow_tags(api_user, **more)


def upstream(world: SandboxWorld, serial: str) -> tuple[str, str | None]:
    """The text that FortiFlex holds, and the tenant of a valid tag behind it."""
    row = next(row for row in world.sandbox.entitlements() if row["serialNumber"] == serial)
    text, tag = split_tag(row["description"] or "")
    return text, tag.tenant_slug if tag is not None and tag.valid else None


def updates(world: SandboxWorld) -> int:
    return len(world.calls_of("entitlements/update"))


def test_off_nothing_is_written(people: People, world: SandboxWorld) -> None:
    serial = world.sandbox.create_vm(world.config_id, description="from the portal")[0]
    world.sync()
    give([serial], "acme", START)
    assert people.operator.get("api-users/main").json()["tags_follow"] is False
    assert follow().operations == ()
    tasks.follow_all_tags()
    assert upstream(world, serial) == ("from the portal", None)


def test_on_the_owner_is_written_behind_the_text(people: People, following: SandboxWorld) -> None:
    mine, nobodys = (following.sandbox.create_vm(following.config_id, description="from the portal") for _ in range(2))
    following.sync()
    give(mine, "acme", START)
    done = follow()
    assert [row.state for row in done.operations] == ["succeeded"]
    assert upstream(following, mine[0]) == ("from the portal", "acme")
    assert upstream(following, nobodys[0]) == ("from the portal", None)
    with acting_as(SETUP):
        row = Operation.objects.get(kind="update_entitlement")
        assert (row.asked_by, row.intent, row.tenant_id) == (
            "system tags",
            {"because": "tag"},
            People.tenant("acme").id,
        )
        assert is_in_line(Entitlement.objects.select_related("tenant").get(serial_number=mine[0]))
    assert follow().operations == ()


def test_after_a_hand_over_the_old_owners_text_goes(people: People, following: SandboxWorld) -> None:
    people.operator.post(f"configs/{following.config_id}/offers", {"tenant": "acme"})
    made = people.acme.post("entitlements", {"config": following.config_id, "description": "acme's words"}).json()
    serial = made["entitlements"][0]["serial_number"]
    assert upstream(following, serial) == ("acme's words", "acme")
    give([serial], None, TODAY)
    give([serial], "acme", TODAY)  # back again: the tag is right, but the text that stands there was emptied
    assert [row.state for row in follow().operations] == ["succeeded"]
    assert upstream(following, serial) == ("", "acme")
    give([serial], "globex", TODAY)
    assert follow().operations == ()  # its new licence token goes first
    reconcile_operations()
    follow()
    assert upstream(following, serial) == ("", "globex")


def test_a_forged_tag_is_no_tag(people: People, following: SandboxWorld) -> None:
    forged = make_tag("acme", ids.new_id(), 1)[:-2] + "a]"
    serial = following.sandbox.create_vm(following.config_id, description=join_tag("x", forged))[0]
    following.sync()
    give([serial], "acme", START)
    follow()
    assert upstream(following, serial)[1] == "acme"


def test_only_a_few_are_written_in_a_run(people: People, following: SandboxWorld) -> None:
    serials = following.sandbox.create_vm(following.config_id, count=5)
    following.sync()
    give(serials, "acme", START)
    assert [len(follow(most=2).operations) for _ in range(4)] == [2, 2, 1, 0]
    assert {upstream(following, serial)[1] for serial in serials} == {"acme"}


def test_what_can_not_or_must_not_be_written_is_passed_over(people: People, following: SandboxWorld) -> None:
    expired, gone, busy, fine = (vm(following, day=START) for _ in range(4))
    following.sync()
    give([expired, gone, busy, fine], "acme", START)
    people.acme.post(f"entitlements/{busy}/stop", Prefer="respond-async")
    with acting_as(SETUP):
        Entitlement.objects.filter(serial_number=expired).update(status="EXPIRED")
        Entitlement.objects.filter(serial_number=gone).update(vanished_at=clock.now())
    assert [row.serial_numbers for row in follow().operations] == [[fine]]


def test_what_fortiflex_refused_is_not_repeated_within_a_day(people: People, following: SandboxWorld) -> None:
    serial = vm(following, day=START)
    following.sync()
    give([serial], "acme", START)
    # Over for FortiFlex, and the mirror does not know it yet: it refuses.
    item = following.sandbox._entitlement(serial)
    end, item.end = item.end, clock.now() - timedelta(hours=1)
    assert [row.state for row in follow().operations] == ["failed"]
    assert follow().operations == ()
    assert updates(following) == 1
    item.end = end
    with time_machine.travel(clock.now() + timedelta(hours=25), tick=True):
        forget_day()
        assert [row.state for row in follow().operations] == ["succeeded"]


def test_a_new_owner_waits_for_no_rest_of_the_old_ones(people: People, following: SandboxWorld) -> None:
    serial = vm(following, day=START)
    following.sandbox.use_token(serial)
    following.sync()
    for slug in ("acme", "globex"):
        give([serial], slug, TODAY)
        follow()
        assert upstream(following, serial) == ("", slug)


def test_what_a_person_undoes_is_no_race(people: People, following: SandboxWorld) -> None:
    serial = vm(following, day=START)
    following.sync()
    give([serial], "acme", START)
    follow()
    following.sandbox.edit_description(serial, "taken out by hand")
    following.sync()
    assert follow().operations == ()
    assert people.acme.get(f"entitlements/{serial}").json()["description"] == "taken out by hand"


def test_a_closed_gate_ends_the_run(people: People, following: SandboxWorld) -> None:
    serials = following.sandbox.create_vm(following.config_id, count=3)
    following.sync()
    give(serials, "acme", START)
    with acting_as(SETUP):
        ApiUser.objects.filter(name="main").update(per_minute=1)
    done = follow()
    assert (len(done.operations), done.stopped) == (1, True)
    with acting_as(SETUP):
        ApiUser.objects.filter(name="main").update(per_minute=100_000)
    assert len(follow().operations) == 3  # what never reached FortiFlex counts for nothing


def test_one_worker_at_a_time(people: People, following: SandboxWorld) -> None:
    serial = vm(following, day=START)
    following.sync()
    give([serial], "acme", START)
    with lease_for(f"tags {following.api_user.id}", seconds=60):
        tasks.follow_one(str(following.api_user.id))
        assert updates(following) == 0
    tasks.follow_one(str(following.api_user.id))
    assert upstream(following, serial) == ("", "acme")
