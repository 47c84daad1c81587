"""Month-end on the clock, and two runs at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

from django.db import connections

from billing.models import Statement, StatementRun
from billing.statements import issue_statements
from billing.tasks import issue_month
from billing.verify import find_faults
from tenants.context import acting_as
from tests.billing.test_golden_month import live_august
from tests.databases import OwnDatabase
from tests.gateway.ledger.scenes import give, noon_of, pull
from tests.people import SETUP, People, make_people


def runs() -> int:
    with acting_as(SETUP):
        return StatementRun.objects.count()


def test_the_scheduler_issues_when_the_grace_is_over_and_then_rests(people: People) -> None:
    world, *_ = live_august(people)
    with noon_of(date(2026, 9, 2)):
        pull(world)
        issue_month()
        assert runs() == 0
    with noon_of(date(2026, 9, 4)):
        pull(world)
        issue_month()
        assert people.acme.get("statements?month=2026-08").json()["results"][0]["number"] == "ACME-2026-0001"
        issue_month()
        assert runs() == 1


def test_a_tenant_that_could_not_be_issued_is_tried_again(people: People) -> None:
    world, *_ = live_august(people)
    with noon_of(date(2026, 9, 4)):
        pull(world)
        profile = {"tax": {"category": "S", "rate": "19.00"}}
        people.operator.patch("tenants/globex", {"billing_profile": {}})
        issue_month()
        people.operator.patch("tenants/globex", {"billing_profile": profile})
        issue_month()
        assert runs() == 2
        assert [row["number"] for row in people.operator.get("statements?month=2026-08").json()["results"]] == [
            "GLOBEX-2026-0001",
            "ACME-2026-0001",
        ]


def test_two_runs_at_once_give_one_document_each(own_database: OwnDatabase) -> None:
    world, *_ = live_august(make_people())
    with noon_of(date(2026, 9, 4)):
        pull(world)

        def run(_: int) -> dict[str, str]:
            try:
                return issue_statements(SETUP, month="2026-08").issued
            finally:
                connections.close_all()

        with ThreadPoolExecutor(4) as pool:
            issued = list(pool.map(run, range(4)))
        with acting_as(SETUP):
            assert sorted(Statement.objects.values_list("number", flat=True)) == ["ACME-2026-0001", "GLOBEX-2026-0001"]
            assert list(find_faults()) == []
    assert sorted(number for one in issued for number in one.values()) == ["ACME-2026-0001", "GLOBEX-2026-0001"]


def test_a_run_for_one_tenant_does_not_let_the_others_be_forgotten(people: People) -> None:
    world, *_ = live_august(people)
    with noon_of(date(2026, 9, 4)):
        pull(world)
        issue_statements(SETUP, month="2026-08", slugs=["acme"])
        issue_month()
        assert people.globex.get("statements").json()["results"][0]["number"] == "GLOBEX-2026-0001"


def test_points_on_an_issued_statement_are_billed_to_nobody_else(people: People) -> None:
    world, _, b, _ = live_august(people)
    with noon_of(date(2026, 9, 4)):
        pull(world)
        issue_statements(SETUP, month="2026-08", slugs=["acme"])
        give([b], "globex", date(2026, 8, 1))
        report = issue_statements(SETUP, month="2026-08")
        assert report.issued == {}
        assert (
            report.refused["globex"] == f"points of {b} are on another tenant's issued statement of this month already"
        )


def test_a_contradiction_does_not_clear_itself(people: People) -> None:
    world, *_ = live_august(people)
    with noon_of(date(2026, 9, 4)):
        pull(world)
        world.sandbox.settings.end_day_counts = False
        for _ in range(2):
            report = issue_statements(SETUP, month="2026-08")
            assert report.issued == {}
            assert "contradictory" in report.refused["acme"]


def test_a_draft_tells_a_tenant_nothing_of_other_accounts(people: People) -> None:
    from gateway.models import ProgramAccount

    world, *_ = live_august(people)
    with noon_of(date(2026, 9, 4)):
        pull(world)
        with acting_as(SETUP):
            ProgramAccount.objects.create(program_id="ELAVMS0000000001", account_id=77007700, api_user=world.api_user)
        assert b"77007700" in people.operator.get("statements/draft-2026-08-ACME").content
        draft = people.acme.get("statements/draft-2026-08-ACME")
        assert b"77007700" not in draft.content
        assert draft.json()["warnings"] == ["it can't be billed as it stands yet; your provider sees why"]
        assert people.acme.get("statements?month=0000-08").status_code == 400
