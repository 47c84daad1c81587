"""Programs and accounts entered by hand, and which API user reads an account."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.mirror import sync_api_user
from gateway.models import Operation, Program, ProgramAccount
from tenants import clock
from tenants.context import acting_as
from tenants.models import AuditEntry
from tests.people import SETUP, People
from tests.worlds import ACCOUNT, PROGRAM, SandboxWorld, add_api_user

HIDDEN, OTHER = "ELAVMS0000000077", ACCOUNT + 1
ENTRY = {"serial_number": HIDDEN, "account_id": OTHER, "api_user": "main", "start_date": "2026-01-01"}


def audited() -> list[tuple[str, str]]:
    with acting_as(SETUP):
        rows = AuditEntry.objects.filter(subject_type="program").order_by("id")
        return list(rows.values_list("action", "subject_key"))


def test_a_program_entered_by_hand_becomes_an_ordinary_one_and_loses_nothing(
    people: People, world: SandboxWorld
) -> None:
    answer = people.operator.post("programs", ENTRY)
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/programs/{HIDDEN}"
    assert answer.json() == {
        "program": HIDDEN,
        "account_id": OTHER,
        "start_date": "2026-01-01",
        "end_date": None,
        "prepaid": False,
        "point_balance": None,
        "points_this_month": "0.0000",
    }
    assert HIDDEN in [row["program"] for row in people.acme.get("programs").json()["results"]]
    report = world.sync()
    assert [row[0] for row in report.failed] == [HIDDEN], "it is asked for, though it is not listed"
    again = people.operator.post("programs", ENTRY)
    assert (again.status_code, again.json()["code"]) == (409, "state_conflict")
    day = world.sandbox.clock.today()
    world.sandbox.add_account(OTHER)
    world.sandbox.add_program(HIDDEN, account_id=OTHER, start=day, end=day + timedelta(days=9))
    people.operator.post(f"programs/{HIDDEN}/accounts", {"account_id": OTHER, "api_user": "main"})
    with acting_as(SETUP):
        assert Program.objects.get(pk=HIDDEN).entered_by_hand
    sync_api_user(world.api_user, ask_refused=True)
    with acting_as(SETUP):
        row = Program.objects.get(pk=HIDDEN)
        account = ProgramAccount.objects.get(program=row)
    assert (row.entered_by_hand, account.entered_by_hand) == (False, False)
    assert row.start_day == day
    assert account.mirrored_at is not None
    assert audited() == [("program.entered", HIDDEN)]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"api_user": "nobody"}, "/api_user"),
        ({"serial_number": "not a serial"}, "/serial_number"),
        ({"account_id": "x"}, "/account_id"),
        ({"account_id": 0}, "/account_id"),
        ({"start_date": "2026-02-01", "end_date": "2026-01-01"}, "/end_date"),
    ],
)
def test_a_wrong_program_is_refused_and_nothing_is_entered(
    people: People, world: SandboxWorld, change: dict[str, Any], pointer: str
) -> None:
    answer = people.operator.post("programs", ENTRY | change)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)
    with acting_as(SETUP):
        assert Program.objects.count() == 1


def test_an_account_is_moved_in_one_step_and_its_refusal_forgotten(people: People, world: SandboxWorld) -> None:
    add_api_user("second")
    world.sandbox.plan_fault("entitlements/list", "html")
    world.sync()
    listed = people.operator.get(f"programs/{PROGRAM}/accounts").json()["results"]
    assert [(row["account_id"], row["api_user"], row["refusal"]["times"]) for row in listed] == [(ACCOUNT, "main", 1)]
    body = {"account_id": ACCOUNT, "api_user": "second"}
    moved = people.operator.post(f"programs/{PROGRAM}/accounts", body)
    assert (moved.status_code, moved.json()["api_user"]) == (200, "second")
    assert people.operator.post(f"programs/{PROGRAM}/accounts", body).status_code == 200
    assert world.sync().accounts == 0, "the one that read it before does so no more"
    (row,) = people.operator.get(f"programs/{PROGRAM}/accounts").json()["results"]
    assert (row["api_user"], row["refusal"], row["entered_by_hand"]) == ("second", None, False)
    assert audited() == [("account.moved", PROGRAM)]
    with acting_as(SETUP):
        entry = AuditEntry.objects.get(action="account.moved")
    assert (entry.before["api_user"], entry.after["api_user"]) == ("main", "second")


@pytest.mark.parametrize("state", ["planned", "sent", "unknown", "succeeded"])
def test_no_account_is_moved_while_a_write_of_it_is_unsettled(people: People, world: SandboxWorld, state: str) -> None:
    add_api_user("second")
    people.operator.post("entitlements", {"config": world.config_id, "tenant": None})
    with acting_as(SETUP):
        Operation.objects.update(state=state, settled_at=clock.now() if state == "succeeded" else None)
    answer = people.operator.post(f"programs/{PROGRAM}/accounts", {"account_id": ACCOUNT, "api_user": "second"})
    with acting_as(SETUP):
        reader = ProgramAccount.objects.get().api_user.name
    if state == "succeeded":
        assert (answer.status_code, reader) == (200, "second")
    else:
        assert (answer.status_code, answer.json()["code"], reader) == (409, "in_progress", "main")


def test_an_account_that_fortiflex_does_not_name_is_read_from_the_next_pass_on(
    people: People, world: SandboxWorld
) -> None:
    world.sandbox.add_account(OTHER)
    body = {"account_id": OTHER, "api_user": "main"}
    made = people.operator.post(f"programs/{PROGRAM}/accounts", body)
    assert (made.status_code, made.json()) == (
        201,
        {"program": PROGRAM, "account_id": OTHER, "api_user": "main", "entered_by_hand": True, "mirrored_at": None},
    )
    assert people.operator.post("programs/ELAVMS9/accounts", body).status_code == 404
    assert world.sync().accounts == 2
    page = people.operator.get(f"programs/{PROGRAM}/accounts?limit=1").json()
    (second,) = people.operator.get(page["next"]).json()["results"]
    assert (page["results"][0]["account_id"], second["account_id"]) == (ACCOUNT, OTHER)
    assert second["mirrored_at"] is not None
