"""A month worked out by hand, to the cent, with a resize and a hand-over in it.

August 2026, EUR, price per point: acme 0.05000000 until the 19th, 0.06000000 from the 20th; globex 0.04500000. Tax 19 % for both.
FortiGate VM ENT: 2 vCPU 6.39 points a day, 4 vCPU 12.91 (Fortinet's public figures).

Serial A, acme's all month, 2 vCPU, resized to 4 vCPU (moved to another config) on the 11th: the larger counts for that whole day.
  1st-10th   10 days × 6.39  =  63.90 points × 0.05 =  3.195  -> 3.20   (a tie at half a cent: up)
  11th-19th   9 days × 12.91 = 116.19 points × 0.05 =  5.8095 -> 5.81
  20th-31st  12 days × 12.91 = 154.92 points × 0.06 =  9.2952 -> 9.30
Serial B, 2 vCPU, acme's until the 15th, globex's from the 16th.
  1st-15th   15 days × 6.39  =  95.85 points × 0.05  = 4.7925 -> 4.79   (acme)
  16th-31st  16 days × 6.39  = 102.24 points × 0.045 = 4.6008 -> 4.60   (globex)
Serial C, nobody's: 31 × 6.39 = 198.09 points, on no statement.

acme:   3.20 + 5.81 + 9.30 + 4.79 = 23.10 net; 19 % = 4.389 -> 4.39; total 27.49
globex: 4.60 net; 19 % = 0.874 -> 0.87; total 5.47
Conservation: 63.90 + 116.19 + 154.92 + 95.85 + 102.24 = 533.10 attributed + 198.09 unassigned = 731.19 fetched.
"""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Statement
from billing.prices import set_rate
from billing.statements import draft_statement, issue_statements
from billing.verify import find_faults
from gateway.fortiflex.days import pacific_moment
from tenants.context import acting_as
from tests.gateway.ledger.scenes import give, noon_of, pull, vm, world_on
from tests.people import SETUP, People
from tests.worlds import ENT_4, SandboxWorld

AUGUST, LAST = date(2026, 8, 1), date(2026, 8, 31)
D = Decimal


def price(slug: str, amount: str, day: date) -> None:
    set_rate(SETUP, tenant=People.tenant(slug), currency="EUR", price_per_point=D(amount), from_day=day)


def live_august(people: People) -> tuple[SandboxWorld, str, str, str]:
    """The month as it was lived; the mirror was there all along, so that placements are known and not assumed."""
    with noon_of(AUGUST):
        world = world_on(AUGUST)
        with world.sandbox.at(pacific_moment(AUGUST, 1)):
            big = world.add_config("fgt-4c-ent", ENT_4)
        a, b, c = (vm(world, day=AUGUST, hour=9) for _ in range(3))
        world.sync()
        give([a, b], "acme", AUGUST)
    with noon_of(date(2026, 8, 11)):
        world.sandbox.move(a, big)
        world.sync()
    with noon_of(date(2026, 8, 16)):
        give([b], "globex", date(2026, 8, 16))
    price("acme", "0.05", AUGUST)
    price("acme", "0.06", date(2026, 8, 20))
    price("globex", "0.045", AUGUST)
    return world, a, b, c


def lines_of(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("serial_number", "days", "points", "unit_price", "amount", "service_from", "service_to")
    return [tuple(line[name] for name in names) for line in document["lines"]]


def test_the_golden_month(people: People) -> None:
    world, a, b, _ = live_august(people)
    with noon_of(date(2026, 9, 4)):
        pull(world)
        report = issue_statements(SETUP, month="2026-08")
        assert report.issued == {"acme": "ACME-2026-0001", "globex": "GLOBEX-2026-0001"}
        assert report.refused == {}
        assert report.conservation.in_words() == (
            "conservation: 731.1900 points fetched = 533.1000 attributed + 198.0900 unassigned, difference 0.0000"
        )
        acme = people.acme.get("statements/ACME-2026-0001").json()
        assert lines_of(acme) == [
            (a, 10, "63.9000", "0.05000000", "3.20", "2026-08-01", "2026-08-10"),
            (a, 9, "116.1900", "0.05000000", "5.81", "2026-08-11", "2026-08-19"),
            (a, 12, "154.9200", "0.06000000", "9.30", "2026-08-20", "2026-08-31"),
            (b, 15, "95.8500", "0.05000000", "4.79", "2026-08-01", "2026-08-15"),
        ]
        assert (acme["net"], acme["taxes"][0]["amount"], acme["total"]) == ("23.10", "4.39", "27.49")
        globex = people.globex.get("statements/GLOBEX-2026-0001").json()
        assert lines_of(globex) == [(b, 16, "102.2400", "0.04500000", "4.60", "2026-08-16", "2026-08-31")]
        assert (globex["net"], globex["taxes"][0]["amount"], globex["total"]) == ("4.60", "0.87", "5.47")
        assert people.globex.get("statements/ACME-2026-0001").json()["code"] == "not_found"
        with acting_as(SETUP):
            assert list(find_faults()) == []


def test_a_second_run_issues_nothing_and_changes_nothing(people: People) -> None:
    world, *_ = live_august(people)
    with noon_of(date(2026, 9, 4)):
        pull(world)
        issue_statements(SETUP, month="2026-08")
        before = people.acme.get("statements/ACME-2026-0001").content
        again = issue_statements(SETUP, month="2026-08")
        assert (again.issued, again.already) == ({}, {"acme": "ACME-2026-0001", "globex": "GLOBEX-2026-0001"})
        assert people.acme.get("statements/ACME-2026-0001").content == before
        with acting_as(SETUP):
            assert Statement.objects.count() == 2


def test_a_draft_is_there_for_any_month_at_any_time(people: People) -> None:
    world, *_ = live_august(people)
    with noon_of(date(2026, 8, 20)):
        pull(world)
        draft = people.acme.get("statements/draft-2026-08-ACME").json()
        assert (draft["status"], draft["net"]) == ("draft", "13.80")
        assert "the month is not over" in draft["warnings"]
        assert people.globex.get("statements/draft-2026-08-ACME").json()["code"] == "not_found"
        assert draft_statement(SETUP, People.tenant("acme"), "2026-05")["lines"] == []


@pytest.mark.parametrize("hour", [8, 9])
def test_a_month_is_issued_from_the_third_nine_oclock_on(people: People, hour: int) -> None:
    world, *_ = live_august(people)
    with noon_of(date(2026, 9, 3), hour=hour):
        pull(world)
        answer = people.operator.post("statement-runs", {"month": "2026-08"})
        if hour == 8:
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/month")
        else:
            assert answer.json()["issued"] == {"acme": "ACME-2026-0001", "globex": "GLOBEX-2026-0001"}


def test_a_missing_day_stops_the_tenant_and_says_which(people: People) -> None:
    world, *_ = live_august(people)
    with noon_of(date(2026, 9, 4)):
        pull(world, first=date(2026, 8, 2))
        report = issue_statements(SETUP, month="2026-08")
        assert report.issued == {}
        assert report.refused["acme"].startswith("2026-08-01 of account 100001 in program ELAVMS0000000001 is missing")


def test_no_rate_and_no_tax_profile_are_named(people: People) -> None:
    with noon_of(AUGUST):
        world = world_on(AUGUST)
        serial = vm(world, day=AUGUST)
        world.sync()
        give([serial], "acme", AUGUST)
    with noon_of(date(2026, 9, 4)):
        pull(world)
        assert "no EUR rate for 2026-08-01" in issue_statements(SETUP, month="2026-08").refused["acme"]
        price("acme", "0.05", AUGUST)
        people.operator.patch("tenants/acme", {"billing_profile": {"name": "Acme"}})
        assert "no tax" in issue_statements(SETUP, month="2026-08").refused["acme"]


def test_nothing_to_bill_is_no_document(people: People) -> None:
    world, *_ = live_august(people)
    with noon_of(date(2026, 9, 4)):
        pull(world)
        report = issue_statements(SETUP, month="2026-07", slugs=["globex"])
        assert (report.issued, report.empty, report.refused) == ({}, ["globex"], {})
