"""Hand-over: control, visibility and billing pass together; the old owner keeps its own days; an unused licence token is renewed."""

import itertools
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from gateway.ledger.report import check_conservation
from gateway.models import Assignment, Entitlement, Operation, Placement
from gateway.ownership import ensure_flipped, forget_day
from gateway.reconciliation import reconcile_operations
from tenants.context import acting_as
from tenants.models import Event
from tests.gateway.ledger.scenes import give, noon_of, pull, truth, vm, world_on
from tests.people import SETUP, People
from tests.worlds import ACCOUNT, ENT_4, PROGRAM, SandboxWorld

TODAY = date(2026, 8, 20)
START = TODAY - timedelta(days=12)
TOMORROW = TODAY + timedelta(days=1)


@pytest.fixture
def august(people: People) -> Iterator[SandboxWorld]:
    with noon_of(TODAY):
        yield world_on(TODAY)


def token_of(serial: str) -> str:
    with acting_as(SETUP):
        return Entitlement.objects.get(serial_number=serial).token


def renewals() -> list[tuple[Any, ...]]:
    with acting_as(SETUP):
        rows = Operation.objects.filter(kind="renew_token").order_by("id")
        return [(row.serial_numbers[0], row.tenant.slug if row.tenant else None, row.state, row.intent) for row in rows]


def days_seen(client: Any, serial: str) -> list[str]:
    answer = client.get(f"entitlements/{serial}/consumption?from={START}&to={TODAY}")
    return [row["day"] for row in answer.json()["results"]] if answer.status_code == 200 else []


def test_an_unused_token_is_renewed_for_the_new_owner(people: People, august: SandboxWorld) -> None:
    serial = vm(august, day=START)
    august.sync()
    give([serial], "acme", START)
    known = people.acme.get(f"entitlements/{serial}").json()["token"]
    give([serial], "globex", TODAY)
    assert renewals() == [(serial, "globex", "planned", {"because": "handover"})]
    assert people.globex.get(f"entitlements/{serial}").json()["token"] == known  # until the worker has been there
    reconcile_operations()
    assert renewals() == [(serial, "globex", "succeeded", {"because": "handover"})]
    new = people.globex.get(f"entitlements/{serial}").json()["token"]
    assert new not in {"", known}
    assert people.acme.get("operations?kind=renew_token").json()["results"] == []
    assert [row["kind"] for row in people.globex.get("operations").json()["results"]] == ["renew_token"]


def test_a_token_waits_for_the_midnight_of_its_hand_over(people: People, august: SandboxWorld) -> None:
    serial = vm(august, day=START)
    august.sync()
    give([serial], "acme", START)
    give([serial], "globex", TOMORROW)
    known = token_of(serial)
    assert renewals() == []
    with noon_of(TOMORROW, hour=0):
        assert people.globex.get(f"entitlements/{serial}").json()["tenant"] == "globex"
        assert renewals() == [(serial, "globex", "planned", {"because": "handover"})]
        forget_day()
        ensure_flipped()  # another process looks too
        assert len(renewals()) == 1
        reconcile_operations()
    assert token_of(serial) != known


def test_what_an_owner_left_some_days_ago_is_renewed_for_the_next(people: People, august: SandboxWorld) -> None:
    serial = vm(august, day=START)
    august.sync()
    give([serial], "acme", START)
    give([serial], None, TODAY - timedelta(days=3))
    assert renewals() == []
    give([serial], "globex", TODAY)
    assert [row[:3] for row in renewals()] == [(serial, "globex", "planned")]


def spent(world: SandboxWorld, serial: str) -> None:
    world.sandbox.use_token(serial)


def stopped(world: SandboxWorld, serial: str) -> None:
    world.sandbox.stop(serial)


@pytest.mark.parametrize("what", [spent, stopped])
def test_a_token_that_can_give_nothing_away_is_kept(people: People, august: SandboxWorld, what: Any) -> None:
    serial, usual = vm(august, day=START), vm(august, day=START)
    what(august, serial)
    august.sync()
    give([serial, usual], "acme", START)
    give([serial, usual], "globex", TODAY)
    assert [row[0] for row in renewals()] == [usual]


def test_neither_a_first_owner_nor_nobody_gets_a_new_token(people: People, august: SandboxWorld) -> None:
    serial = vm(august, day=START)
    august.sync()
    give([serial], "acme", START)
    give([serial], "acme", START - timedelta(days=30))
    give([serial], None, TODAY)
    give([serial], "acme", TODAY)
    assert renewals() == []


def test_a_hand_over_onward_ends_the_renewal_of_the_owner_between(people: People, august: SandboxWorld) -> None:
    serial = vm(august, day=START)
    august.sync()
    for slug in ("acme", "globex", "acme"):
        give([serial], slug, TODAY)
    reconcile_operations()
    assert [row[1:3] for row in renewals()] == [("globex", "failed"), ("acme", "succeeded")]


def test_hardware_has_no_token_to_renew(people: People, august: SandboxWorld) -> None:
    config = august.add_config("fgt-60f", [(27, "FGT60F"), (28, "FGHWUTP")], product_type_id=101)
    serial = "FGT60FTK20000001"
    august.sandbox.call("entitlements/hardware/create", configId=config, serialNumbers=[serial])
    august.sync()
    give([serial], "acme", TODAY)
    with acting_as(SETUP):
        Entitlement.objects.filter(serial_number=serial).update(token="X", token_status="NOTUSED")
    give([serial], "globex", TODAY)
    assert renewals() == []


def test_without_an_api_user_the_hand_over_goes_on(people: People, august: SandboxWorld) -> None:
    serial = vm(august, day=START)
    august.sync()
    give([serial], "acme", START)
    people.operator.patch("api-users/main", {"enabled": False})
    give([serial], "globex", TODAY)
    assert renewals() == []
    assert people.globex.get(f"entitlements/{serial}").status_code == 200


def test_a_hand_over_into_past_days_moves_money_and_not_visibility(people: People, august: SandboxWorld) -> None:
    people.operator.post(f"configs/{august.config_id}/offers", {"tenant": "acme"})
    serial = vm(august, day=START)
    august.sync()
    give([serial], "acme", START)
    people.acme.patch(f"entitlements/{serial}", {"description": "acme's words", "labels": {"cost": "7"}})
    august.sandbox.edit_description(serial, "portal words")
    august.sync()
    pull(august)
    middle = START + timedelta(days=5)
    give([serial], "globex", middle)
    all_days = [str(START + timedelta(days=n)) for n in range(12)]
    # Money and control.
    assert days_seen(people.acme, serial) == all_days[:5]
    assert days_seen(people.globex, serial) == all_days[5:]
    assert people.acme.get(f"entitlements/{serial}").status_code == 404
    # What was said and done on those days stays whose it was.
    assert [row["kind"] for row in people.acme.get("operations").json()["results"]] == ["update_entitlement"]
    assert {row["kind"] for row in people.globex.get("operations").json()["results"]} == {"renew_token"}
    told = [row["type"] for row in people.globex.get("events").json()["results"]]
    assert "entitlement.changed_outside" not in told
    assert "entitlement.tag_changed" not in told
    assert "entitlement.tag_changed" in [row["type"] for row in people.acme.get("events").json()["results"]]
    seen = people.globex.get(f"entitlements/{serial}").json()
    assert (seen["description"], seen["labels"]) == ("", {})
    grouped = people.globex.get(f"consumption?from={START}&to={TODAY}&group_by=label").json()["results"]
    assert [row["label"] for row in grouped] == [None]
    with acting_as(SETUP):
        assert check_conservation(START, TODAY).holds


def test_a_text_and_labels_come_back_with_their_period(people: People, august: SandboxWorld) -> None:
    """A hand-over that was arranged ahead carries what its owner of that period had, and nothing of the other's."""
    serial = vm(august, day=START)
    august.sync()
    give([serial], "acme", START)
    people.acme.patch(f"entitlements/{serial}", {"description": "acme's words", "labels": {"cost": "7"}})
    give([serial], "globex", TOMORROW)
    with noon_of(TOMORROW):
        seen = people.globex.get(f"entitlements/{serial}").json()
        people.globex.patch(f"entitlements/{serial}", {"labels": {"site": "Bonn"}})
    assert (seen["description"], seen["labels"]) == ("", {})
    with acting_as(SETUP):
        rows = Assignment.objects.filter(serial_number=serial).order_by("from_day")
        kept = list(rows.values_list("tenant__slug", "description", "labels"))
    assert kept == [("acme", "acme's words", {"cost": "7"}), ("globex", "", {"site": "Bonn"})]


def texts_of(serial: str) -> list[tuple[Any, ...]]:
    with acting_as(SETUP):
        rows = Assignment.objects.filter(serial_number=serial).order_by("from_day")
        return list(rows.values_list("tenant__slug", "from_day", "until_day", "description", "labels"))


@pytest.mark.parametrize("between", ["globex", None])
@pytest.mark.parametrize("day", [TODAY, TOMORROW])
def test_what_is_handed_back_before_a_day_has_passed_never_left(
    people: People, august: SandboxWorld, between: str | None, day: date
) -> None:
    """A hand-over of the wrong serial, undone: the words and labels of its owner are not the price."""
    serial = vm(august, day=START)
    august.sandbox.use_token(serial)
    august.sync()
    give([serial], "acme", START)
    people.acme.patch(f"entitlements/{serial}", {"description": "acme's words", "labels": {"cost": "7"}})
    give([serial], between, day)
    give([serial], "acme", day)
    seen = people.acme.get(f"entitlements/{serial}").json()
    assert (seen["description"], seen["labels"]) == ("acme's words", {"cost": "7"})
    assert texts_of(serial) == [("acme", START, None, "acme's words", {"cost": "7"})]
    assert people.globex.get(f"entitlements/{serial}").status_code == 404


def test_what_is_given_to_its_owner_again_keeps_the_words_of_today(people: People, august: SandboxWorld) -> None:
    serial = vm(august, day=START)
    august.sandbox.use_token(serial)
    august.sync()
    middle = START + timedelta(days=5)
    give([serial], "acme", START)
    people.acme.patch(f"entitlements/{serial}", {"description": "old words"})
    give([serial], "globex", middle)
    give([serial], "acme", TODAY)
    people.acme.patch(f"entitlements/{serial}", {"description": "new words"})
    give([serial], "acme", middle)
    assert people.acme.get(f"entitlements/{serial}").json()["description"] == "new words"
    assert texts_of(serial) == [
        ("acme", START, middle, "old words", {}),
        ("acme", middle, None, "new words", {}),
    ]


@pytest.mark.parametrize("entrance", ["web", "sync", "points", "statements", "reconcile", "tags", "rules"])
def test_no_entrance_sees_yesterdays_owner(people: People, august: SandboxWorld, entrance: str) -> None:
    from billing.statements import issue_statements
    from gateway import tasks
    from gateway.ledger.pull import pull_points

    serial = vm(august, day=START)
    august.sync()
    give([serial], "acme", START)
    give([serial], "globex", TOMORROW)
    with noon_of(TOMORROW, hour=0):
        match entrance:
            case "web":
                people.acme.get("whoami")
            case "sync":
                august.sync()
            case "points":
                pull_points(august.api_user)
            case "statements":
                issue_statements(SETUP, month="2026-07")
            case "reconcile":
                tasks.reconcile_due()
            case "tags":
                tasks.follow_one(str(august.api_user.id))
            case _:
                from django.core.management import call_command

                call_command("apply_assignment_rules")
        with acting_as(SETUP):
            assert Entitlement.objects.get(serial_number=serial).tenant_id == People.tenant("globex").id


def test_a_transfer_in_the_portal_keeps_owner_and_history(people: People, august: SandboxWorld) -> None:
    other = 100002
    serial, stays = vm(august, day=START), vm(august, day=START)
    august.sync()
    give([serial, stays], "acme", START)
    people.acme.patch(f"entitlements/{serial}", {"labels": {"cost": "7"}})
    pull(august)
    august.sandbox.add_account(other)
    august.sandbox.call(
        "entitlements/transfer",
        sourceAccountId=ACCOUNT,
        targetAccountId=other,
        sourceConfigId=august.config_id,
        serialNumbers=[serial],
    )
    with noon_of(TOMORROW):
        august.sync()
        seen = people.acme.get(f"entitlements/{serial}").json()
        assert (seen["tenant"], seen["account_id"], seen["labels"]) == ("acme", other, {"cost": "7"})
        assert seen["config"] != august.config_id
        with acting_as(SETUP):
            assert Entitlement.objects.get(serial_number=serial).vanished_at is None
            rows = Placement.objects.filter(serial_number=serial).order_by("from_day")
            places = [(row.program_serial, row.account_id, row.from_day, row.until_day) for row in rows]
            owners = Assignment.objects.select_related("tenant").get(serial_number=serial)
        assert places[0][1] == ACCOUNT
        assert places[-1] == (PROGRAM, other, TOMORROW, None)
        assert all(a[3] == b[2] for a, b in itertools.pairwise(places))
        assert (owners.tenant.slug, owners.from_day, owners.until_day) == ("acme", START, None)
        # FortiFlex tells its past days under the new account: both claim them until the old one was read again.
        for _ in range(2):
            pull(august)
        with acting_as(SETUP):
            report = check_conservation(START, TODAY)
            assert report.holds
            assert (report.attributed, report.unassigned) == (truth(august, START, TODAY), 0)


def test_a_move_to_another_config_in_the_portal_keeps_owner_and_history(people: People, august: SandboxWorld) -> None:
    serial = vm(august, day=START)
    august.sync()
    give([serial], "acme", START)
    bigger = august.add_config("bigger", ENT_4)
    august.sandbox.move(serial, bigger)
    august.sync()
    seen = people.acme.get(f"entitlements/{serial}").json()
    assert (seen["tenant"], seen["config"]) == ("acme", bigger)
    with acting_as(SETUP):
        rows = Placement.objects.filter(serial_number=serial).order_by("from_day")
        places = list(rows.values_list("config_id", "until_day"))
        told = Event.objects.filter(type="entitlement.changed_outside", tenant__slug="acme").count()
    assert [places[0][0], places[-1]] == [august.config_id, (bigger, None)]
    assert told == 1
