"""Programs: one page in the same few statements however many there are, and the balance for whom it tells nothing about others."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.days import today
from gateway.models import ApiUser, Assignment, Entitlement, LedgerEntry, Program, ProgramAccount
from tenants.context import acting_as
from tenants.models import Tenant
from tests.gateway.ledger.scenes import give, noon_of, pull, vm
from tests.people import SETUP, People
from tests.worlds import ACCOUNT, PROGRAM, SandboxWorld, make_world


def add_programs(world: SandboxWorld, number: int) -> list[str]:
    """Prepaid ones with a balance, each with an account of its own."""
    serials = [f"ELAVMR{index:010d}" for index in range(1, number + 1)]
    with acting_as(SETUP):
        for index, serial in enumerate(serials):
            Program.objects.create(serial_number=serial, account_id=ACCOUNT, point_balance=Decimal(100 + index))
            ProgramAccount.objects.create(program_id=serial, account_id=ACCOUNT + index, api_user=world.api_user)
    return serials


def entry(serial: str, **more: Any) -> dict[str, Any]:
    return {
        "program": serial,
        "account_id": ACCOUNT,
        "start_date": None,
        "end_date": None,
        "prepaid": True,
        "point_balance": None,
        "points_this_month": "0.0000",
    } | more


def test_a_page_is_as_it_always_was_and_leads_to_the_next(people: People, world: SandboxWorld) -> None:
    first, second, third = add_programs(world, 3)
    page = people.operator.get("programs?limit=2").json()
    assert page == {
        "next": page["next"],
        "previous": None,
        "results": [entry(first, point_balance="100.0000"), entry(second, point_balance="101.0000")],
    }
    last = people.operator.get(page["next"]).json()
    assert [row["program"] for row in last["results"]] == [third, PROGRAM]
    assert last["next"] is None
    assert people.operator.get(last["previous"]).json() == page | {"previous": None}
    assert people.acme.get(page["next"]).json()["code"] == "invalid", "a cursor is its asker's"


@pytest.mark.parametrize("who", ["acme", "operator"])
def test_a_page_costs_the_same_statements_for_any_number_of_programs(
    people: People, world: SandboxWorld, who: str
) -> None:
    client = getattr(people, who)
    client.get("programs")  # the day's flip and the token's last use are written once
    counts = []
    for number in (0, 4):
        add_programs(world, number)
        with CaptureQueriesContext(connection) as captured:
            assert len(client.get("programs").json()["results"]) == number + 1
        counts.append(len(captured))
    assert counts[0] == counts[1]
    assert counts[0] <= {"acme": 22, "operator": 20}[who]


def test_who_alone_may_use_and_ever_used_a_program_sees_its_balance(people: People, world: SandboxWorld) -> None:
    [serial] = add_programs(world, 1)

    def balance() -> list[Any]:
        shown = [client.get("programs").json()["results"][0] for client in (people.acme, people.operator)]
        one = people.acme.get(f"programs/{serial}").json()
        assert one == shown[0]
        return [row["point_balance"] for row in shown]

    assert balance() == [None, "100.0000"], "globex may use it too"
    people.operator.patch("tenants/globex", {"programs": [PROGRAM]})
    assert people.globex.get(f"programs/{serial}").status_code == 404
    assert balance() == ["100.0000", "100.0000"]
    found = world.sandbox.create_vm(world.config_id)
    world.sync()
    give(found, "globex", today())
    with acting_as(SETUP):
        Assignment.objects.update(until_day=None)
        Entitlement.objects.update(program_id=serial)
    assert balance() == [None, "100.0000"], "globex has something in it"


def test_each_reads_its_own_points_of_the_month(people: People) -> None:
    day = date(2026, 8, 10)
    with noon_of(day):
        world = make_world()
        mine, theirs = vm(world, day=date(2026, 8, 1)), vm(world, day=date(2026, 8, 1))
        world.sync()
        give([mine], "acme", date(2026, 8, 1))
        give([theirs], "globex", date(2026, 8, 3))
        pull(world)
        with acting_as(SETUP):
            days = set(LedgerEntry.objects.values_list("day", flat=True))
            total = {
                slug: sum(LedgerEntry.objects.filter(**wanted).values_list("points", flat=True), Decimal(0))
                for slug, wanted in {
                    "acme": {"tenant__slug": "acme"},
                    "globex": {"tenant__slug": "globex"},
                    "operator": {},
                }.items()
            }
        assert days
        for slug, points in total.items():
            [row] = getattr(people, slug).get("programs").json()["results"]
            assert row["points_this_month"] == f"{points:.4f}"
    assert len(set(total.values())) == 3


def test_a_program_that_no_enabled_api_user_reaches_stays_in_the_operators_sight(
    people: People, world: SandboxWorld
) -> None:
    with acting_as(SETUP):
        ApiUser.objects.update(enabled=False)
    assert [row["program"] for row in people.operator.get("programs").json()["results"]] == [PROGRAM]
    assert people.operator.get(f"programs/{PROGRAM}").status_code == 200
    assert people.acme.get("programs").json()["results"] == []


def test_what_is_unassigned_may_be_anybodys_so_no_tenant_reads_the_balance(people: People, world: SandboxWorld) -> None:
    with acting_as(SETUP):
        Program.objects.update(point_balance=Decimal(100))
        Tenant.objects.exclude(slug="acme").update(programs=[])
    mine, other = (world.sandbox.create_vm(world.config_id)[0] for _ in range(2))
    world.sync()
    give([mine], "acme", today())
    give([other], "acme", today())
    path = f"programs/{PROGRAM}"
    assert people.acme.get(path).json()["point_balance"] == "100.0000"
    give([other], None, today())
    assert people.acme.get(path).json()["point_balance"] is None
    assert people.operator.get(path).json()["point_balance"] == "100.0000"
