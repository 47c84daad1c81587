"""Assigning and handing over by a CSV list: all or nothing, with every wrong line named, and a look first."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.ledger.report import check_conservation
from gateway.models import Assignment, LedgerEntry
from tenants.context import acting_as
from tenants.models import AuditEntry, Event
from tests.gateway.ledger.scenes import give, noon_of, pull, vm, world_on
from tests.people import SETUP, People
from tests.worlds import SandboxWorld

TODAY = date(2026, 8, 20)
START = TODAY - timedelta(days=12)
HEADER = "serial_number,tenant,from_day\n"


@pytest.fixture
def august(people: People) -> Iterator[SandboxWorld]:
    with noon_of(TODAY):
        yield world_on(TODAY)


def periods(serial: str) -> list[tuple[Any, ...]]:
    with acting_as(SETUP):
        rows = Assignment.objects.filter(serial_number=serial).order_by("from_day")
        return list(rows.values_list("tenant__slug", "from_day", "until_day", "description"))


def test_a_list_assigns_hands_over_and_takes_away(people: People, august: SandboxWorld) -> None:
    fresh, owned, lost = sorted(vm(august, day=START) for _ in range(3))
    august.sync()
    give([owned, lost], "acme", START)
    pull(august)
    text = f"{HEADER}{fresh},acme,{START}\n{owned},globex,{TODAY}\n\n{lost},,{TODAY - timedelta(days=2)}\n"
    rows = [
        {
            "line": 2,
            "serial_number": fresh,
            "owner": None,
            "tenant": "acme",
            "from_day": str(START),
            "changed": True,
        },
        {
            "line": 3,
            "serial_number": owned,
            "owner": "acme",
            "tenant": "globex",
            "from_day": str(TODAY),
            "changed": True,
        },
        {
            "line": 5,
            "serial_number": lost,
            "owner": "acme",
            "tenant": None,
            "from_day": str(TODAY - timedelta(days=2)),
            "changed": True,
        },
    ]
    before = periods(owned)
    dry = people.operator.post("assignments/import?dry_run=true", text)
    assert (dry.status_code, dry.json()) == (200, {"dry_run": True, "changed": 3, "results": rows})
    assert periods(owned) == before
    assert periods(fresh) == []
    done = people.operator.post("assignments/import", text)
    assert (done.status_code, done.json()) == (201, {"dry_run": False, "changed": 3, "results": rows})
    assert periods(owned) == [("acme", START, TODAY, ""), ("globex", TODAY, None, "")]
    assert periods(lost) == [("acme", START, TODAY - timedelta(days=2), "")]
    assert people.globex.get(f"entitlements/{owned}").json()["tenant"] == "globex"
    assert people.acme.get(f"entitlements/{owned}").status_code == 404
    with acting_as(SETUP):
        report = check_conservation(START, TODAY)
        assert report.holds
        assert report.unassigned == Decimal("12.7800")
        told = list(
            Event.objects.filter(subject_key=owned, tenant__isnull=False)
            .order_by("id")
            .values_list("tenant__slug", "type")
        )
        assert AuditEntry.objects.get(action="assignments.imported").after == {"lines": 3, "changed": 3}
    assert told == [
        ("acme", "entitlement.assigned"),
        ("acme", "entitlement.unassigned"),
        ("globex", "entitlement.assigned"),
    ]
    again = people.operator.post("assignments/import", text).json()
    assert (again["changed"], [row["changed"] for row in again["results"]]) == (0, [False, False, False])


def test_a_serial_on_several_lines_is_its_history(people: People, august: SandboxWorld) -> None:
    serial = vm(august, day=START)
    august.sandbox.edit_description(serial, "from the portal")
    pull(august)
    middle = START + timedelta(days=5)
    # The later day stands first: the order of lines is not the order of days.
    text = f"{HEADER}{serial},globex,{middle}\n{serial},acme,{START}\n"
    assert people.operator.post("assignments/import", text).status_code == 201
    # As two calls one after another would: the first owner of all keeps the text, the next one starts without.
    assert periods(serial) == [("acme", START, middle, "from the portal"), ("globex", middle, None, "")]
    with acting_as(SETUP):
        days = {
            slug: LedgerEntry.objects.filter(serial_number=serial, tenant__slug=slug).count()
            for slug in ("acme", "globex")
        }
        assert check_conservation(START, TODAY).holds
    assert days == {"acme": 5, "globex": 7}


def test_a_history_that_is_sent_twice_changes_nothing_and_keeps_its_words(people: People, august: SandboxWorld) -> None:
    serial = vm(august, day=START)
    august.sandbox.use_token(serial)
    pull(august)
    middle, later = START + timedelta(days=3), START + timedelta(days=6)
    text = f"{HEADER}{serial},acme,{START}\n{serial},globex,{middle}\n{serial},acme,{later}\n"
    people.operator.post("assignments/import", text)
    people.acme.patch(f"entitlements/{serial}", {"description": "acme's words", "labels": {"cost": "7"}})
    with acting_as(SETUP):
        Assignment.objects.filter(tenant__slug="globex").update(description="globex's words")
        before = list(Assignment.objects.order_by("from_day").values())
        told = Event.objects.count()
    looked = people.operator.post("assignments/import?dry_run=true", text).json()
    again = people.operator.post("assignments/import", text).json()
    assert [row["changed"] for row in again["results"]] == [row["changed"] for row in looked["results"]] == [False] * 3
    assert [row["owner"] for row in again["results"]] == ["acme", "globex", "acme"]
    with acting_as(SETUP):
        assert list(Assignment.objects.order_by("from_day").values()) == before
        assert Event.objects.count() == told
    # What differs is changed, and what stands before it stays as it was.
    text = text.replace(str(later), str(later + timedelta(days=1)))
    again = people.operator.post("assignments/import", text).json()
    assert [row["changed"] for row in again["results"]] == [False, True, True]
    assert periods(serial) == [
        ("acme", START, middle, ""),
        ("globex", middle, later + timedelta(days=1), "globex's words"),
        ("acme", later + timedelta(days=1), None, "acme's words"),
    ]


@pytest.mark.parametrize(
    "dressed",
    [
        lambda text: text,
        lambda text: "\ufeff" + text,
        lambda text: text.replace(",", ";"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("serial_number,", '"serial_number", ').replace(",acme,", ',"acme",'),
        lambda text: "\n" + text.rstrip("\n"),
        lambda text: "\r\n\r\n" + text.replace(",", ";").replace("\n", "\r\n"),
        lambda text: text.replace("serial_number,tenant,from_day", "Serial_Number,TENANT,from_day"),
    ],
    ids=[
        "plain",
        "byte order mark",
        "semicolons",
        "windows",
        "quoted",
        "blank first line",
        "blank and semicolons",
        "capitals",
    ],
)
def test_what_spreadsheets_save_is_read(people: People, august: SandboxWorld, dressed: Any) -> None:
    serial = vm(august, day=START)
    august.sync()
    answer = people.operator.post("assignments/import", dressed(f"{HEADER}{serial},acme,{START}\n"))
    assert answer.status_code == 201, answer.content
    assert periods(serial) == [("acme", START, None, "")]


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("", "/lines/1"),
        ("serial_number,tenant\nX,acme\n", "/lines/1"),
        ("serial_number,tenant,from_day,points\n", "/lines/1"),
        ("serial_number;tenant,from_day\n", "/lines/1"),
        (HEADER + "{serial},acme\n", "/lines/2"),
        (HEADER + "{serial},acme,2026-08-20,more\n", "/lines/2"),
        (HEADER + "{serial},acme,20.08.2026\n", "/lines/2/from_day"),
        (HEADER + "{serial},acme,20260820\n", "/lines/2/from_day"),
        (HEADER + "{serial},acme,2026-02-30\n", "/lines/2/from_day"),
        (HEADER + "{serial},acme,\n", "/lines/2/from_day"),
        (HEADER + "{serial},no-such,2026-08-20\n", "/lines/2/tenant"),
        (HEADER + '=HYPERLINK("http://x"),acme,2026-08-20\n', "/lines/2/serial_number"),
        (HEADER + "@SUM(1),acme,2026-08-20\n", "/lines/2/serial_number"),
        (HEADER + "{serial},acme,2026-08-19\n{serial},globex,2026-08-19\n", "/lines/3/serial_number"),
        (HEADER + "{serial},acme,2026-08-20\nFGVMXX0000000000,acme,2026-08-20\n", "/lines/3/serial_number"),
        (HEADER + '"{serial},acme,2026-08-20\n', "/lines/2"),
        (HEADER + "{serial},ac\x00me,2026-08-20\n", "/lines/2"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_assigned(
    people: People, august: SandboxWorld, text: str, pointer: str
) -> None:
    serial = vm(august, day=START)
    august.sync()
    sent = text.replace("{serial}", serial)
    for path in ("assignments/import?dry_run=true", "assignments/import"):
        answer = people.operator.post(path, sent)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), answer.content
        assert answer.json()["errors"][0]["pointer"] == pointer
        assert "HYPERLINK" not in answer.content.decode()
    assert periods(serial) == []


def test_every_wrong_line_is_told_at_once(people: People, world: SandboxWorld) -> None:
    answer = people.operator.post("assignments/import", HEADER + "FGVM0000000001,no-such,2026-08-20\n" * 30).json()
    assert [error["pointer"] for error in answer["errors"]] == [f"/lines/{n}/tenant" for n in range(2, 12)]
    assert "And 29 more" in answer["detail"]


@pytest.mark.parametrize("body", [b"\xff\xfe", "s\xe9rial".encode("latin-1")])
def test_what_is_not_utf_8_is_refused(people: People, body: bytes) -> None:
    answer = people.operator._client.generic(
        "POST",
        "/api/v1/assignments/import",
        data=body,
        content_type="text/csv",
        headers={"Authorization": f"Bearer {people.operator.token}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_only_csv_is_taken_and_only_so_much(people: People, world: SandboxWorld) -> None:
    assert people.operator.post("assignments/import", {"csv": "x"}).status_code == 415
    assert people.operator.post("assignments", HEADER).status_code == 415
    assert people.operator.post("assignments/import", HEADER + "x" * 1_100_000).status_code == 413
    many = people.operator.post("assignments/import", HEADER + "F12345,,2026-01-01\n" * 20_001).json()
    assert many["errors"][0]["pointer"] == "/lines/20002"


def test_a_list_is_the_operators_alone(people: People, world: SandboxWorld) -> None:
    assert people.acme.post("assignments/import", HEADER).json()["code"] == "operator_only"


def test_thirty_lines_cost_the_queries_of_two(people: People, world: SandboxWorld) -> None:
    people.operator.get("whoami")  # whatever the first request of a day does, it has done
    numbers = []
    for count in (2, 30):
        serials = world.sandbox.create_vm(world.config_id, count=count)
        world.sync()
        text = HEADER + "".join(f"{serial},acme,2026-08-20\n" for serial in serials)
        with CaptureQueriesContext(connection) as captured:
            assert people.operator.post("assignments/import", text).status_code == 201
        numbers.append(len(captured))
    assert numbers[0] == numbers[1]
