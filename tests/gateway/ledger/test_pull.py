"""Points per day, whatever FortiFlex does: both meanings of endDate, corrections, refusals, gaps, transfers."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from gateway.ledger.calibrate import calibrate, judge_end_day
from gateway.ledger.fetch import Fetched
from gateway.ledger.report import check_conservation, read_account_days, recheck_fetch
from gateway.ledger.store import store_day
from gateway.models import AccountDay, EndDateCalibration, LedgerCorrection, LedgerEntry, PointsFetch
from gateway.sandbox import SandboxTransport
from gateway.upstream import client_for, install_transport
from tenants.context import acting_as
from tenants.ids import new_id
from tenants.models import Event
from tests.gateway.ledger.scenes import give, noon_of, pull, truth, vm, world_on
from tests.people import SETUP, People

TODAY = date(2026, 8, 20)
START = TODAY - timedelta(days=12)
D = Decimal


def days_of(serial: str) -> dict[date, Decimal]:
    with acting_as(SETUP):
        return dict(LedgerEntry.objects.filter(serial_number=serial).values_list("day", "points"))


@pytest.mark.parametrize("end_day_counts", [True, False])
def test_every_day_is_the_sandboxs_truth_under_both_meanings_of_end_date(people: People, end_day_counts: bool) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY, end_day_counts=end_day_counts)
        serial = vm(world, day=START)
        report = pull(world)
        assert report.end_day_counts is end_day_counts
        assert days_of(serial) == {START + timedelta(days=n): D("6.3900") for n in range(12)}
        with acting_as(SETUP):
            found = EndDateCalibration.objects.get()
            assert found.end_day_counts is end_day_counts
            assert PointsFetch.objects.filter(purpose="calibration").count() == 3
            assert all(recheck_fetch(fetch) for fetch in PointsFetch.objects.all())


def test_conservation_holds_and_names_what_nobody_owns(people: People) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY)
        mine, nobodys = vm(world, day=START), vm(world, day=START + timedelta(days=2))
        world.sync()
        give([mine], "acme", START)
        pull(world)
        with acting_as(SETUP):
            report = check_conservation(START, TODAY)
        assert report.holds
        assert report.fetched == truth(world, START, TODAY - timedelta(days=1))
        assert (report.attributed, report.unassigned) == (D("76.6800"), D("63.9000"))
        assert nobodys in {
            row["serial_number"] for row in people.operator.get("entitlements?tenant=unassigned").json()["results"]
        }


def test_a_hand_over_moves_points_from_its_day_on(people: People) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY)
        serial = vm(world, day=START)
        world.sync()
        give([serial], "acme", START)
        pull(world)
        give([serial], "globex", START + timedelta(days=4))
        rows = {}
        for name, client in (("acme", people.acme), ("globex", people.globex)):
            answer = client.get(f"entitlements/{serial}/consumption?from={START}&to={TODAY}")
            rows[name] = [row["day"] for row in answer.json()["results"]]
        days = [str(START + timedelta(days=n)) for n in range(12)]
        assert rows == {"acme": days[:4], "globex": days[4:]}


def test_a_missing_day_is_missing_and_never_zero(people: People) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY)
        vm(world, day=START)
        pull(world, first=TODAY - timedelta(days=3))
        with acting_as(SETUP):
            states = {
                row.day: row.state for row in read_account_days(TODAY - timedelta(days=5), TODAY - timedelta(days=1))
            }
        wanted = ["missing", "missing", "answered", "answered", "answered"]
        assert [states[day] for day in sorted(states)] == wanted


def test_a_correction_is_kept_as_history(people: People) -> None:
    day = TODAY - timedelta(days=2)
    with noon_of(TODAY):
        world = world_on(TODAY)
        serial = vm(world, day=START)
        world.sync()
        give([serial], "acme", START)
        pull(world)
        world.sandbox.correct_points(serial, day, D("5.00"))
        pull(world, first=day, last=day)
        pull(world, first=day, last=day)
        with acting_as(SETUP):
            correction = LedgerCorrection.objects.get()
            assert (correction.day, correction.old_points, correction.new_points) == (day, D("6.39"), D("5.00"))
            assert Event.objects.filter(type="points.corrected").count() == 1
            assert check_conservation(START, TODAY).holds
        assert days_of(serial)[day] == D("5.0000")


def test_points_that_disappear_are_corrected_to_nothing(people: People) -> None:
    day = TODAY - timedelta(days=2)
    with noon_of(TODAY):
        world = world_on(TODAY)
        serial = vm(world, day=START)
        pull(world)
        world.sandbox.correct_points(serial, day, D(0))
        pull(world, first=day, last=day)
        assert days_of(serial)[day] == D("0.0000")
        with acting_as(SETUP):
            assert check_conservation(START, TODAY).holds


def test_a_refusal_is_neither_zero_nor_a_gap(people: People) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY, nothing_consumed="refused")
        vm(world, day=TODAY - timedelta(days=2))
        report = pull(world)
        with acting_as(SETUP):
            refused = AccountDay.objects.filter(state="unanswered")
            assert refused.exists()
            assert not LedgerEntry.objects.filter(day__in=refused.values("day")).exists()
        # Asking a refusing account costs everybody's error budget: it stops by itself.
        assert report.states["unanswered"] <= 3


def test_what_was_read_before_a_fault_is_stored_and_the_rest_follows(people: People) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY)
        serial = vm(world, day=START)
        world.sync()
        world.sandbox.plan_fault("entitlements/points", "cut", when="before", times=4)
        first = pull(world)
        assert first.states.get("unanswered", 0) >= 1
        pull(world)
        assert len(days_of(serial)) == 12


def test_a_second_pull_asks_for_nothing_that_is_final(people: People) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY)
        vm(world, day=START)
        pull(world)
        before = len(world.calls_of("entitlements/points"))
        pull(world)
        assert len(world.calls_of("entitlements/points")) == before


def test_a_moved_serial_that_two_accounts_claim_is_a_conflict(people: People) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY)
        serial = vm(world, day=START)
        pull(world)
        day = TODAY - timedelta(days=2)
        with acting_as(SETUP):
            fetch = PointsFetch.objects.filter(purpose="day", asked_from=day).get()
            fetch.pk, fetch.account_id = new_id(), 4711
            fetch.save(force_insert=True)
        assert store_day(Fetched(fetch, {serial: D("6.39")}), day, certain=True) == "conflict"
        with acting_as(SETUP):
            assert set(AccountDay.objects.filter(day=day).values_list("state", flat=True)) == {"conflict"}
        assert days_of(serial)[day] == D("6.3900")


def test_an_account_that_names_a_moved_serial_with_nothing_takes_no_points_from_the_other(people: People) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY)
        serial = vm(world, day=START)
        pull(world)
        day = TODAY - timedelta(days=2)
        with acting_as(SETUP):
            fetch = PointsFetch.objects.filter(purpose="day", asked_from=day).get()
            fetch.pk, fetch.account_id, fetch.total = new_id(), 4711, D(0)
            fetch.save(force_insert=True)
        assert store_day(Fetched(fetch, {serial: D(0)}), day, certain=True) == "answered"
        assert days_of(serial)[day] == D("6.3900")
        with acting_as(SETUP):
            assert check_conservation(day, day).holds
            assert not LedgerCorrection.objects.exists()


def test_without_proof_days_with_points_wait(people: People) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY, end_day_counts=False)
        serial = vm(world, day=TODAY - timedelta(days=2))
        report = pull(world)
        assert report.end_day_counts is None
        assert days_of(serial) == {}
        assert report.states["uncalibrated"] >= 1
    with noon_of(TODAY + timedelta(days=6)):
        assert pull(world).end_day_counts is False
        assert days_of(serial)[TODAY - timedelta(days=2)] == D("6.3900")
        assert len(days_of(serial)) == 8


def test_a_contradiction_stops_everything(people: People) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY)
        serial = vm(world, day=START)
        pull(world)
        world.sandbox.settings.end_day_counts = False
        found = calibrate(world.api_user, client_for(world.api_user, interactive=True))
        assert found is not None
        assert found.end_day_counts is None
        before = days_of(serial)
        pull(world, first=START)
        with acting_as(SETUP):
            assert check_conservation(START, TODAY).holds
        assert days_of(serial) == before


def totals(**rows: str) -> dict[str, Decimal]:
    return {name: D(value) for name, value in rows.items()}


@pytest.mark.parametrize(
    ("first_two", "last_two", "all_three", "steady", "verdict"),
    [
        (totals(a="12.78"), totals(a="12.78"), totals(a="19.17"), {"a"}, True),
        (totals(a="6.39"), totals(a="6.39"), totals(a="12.78"), {"a"}, False),
        (totals(a="6.39"), totals(a="6.39"), totals(a="12.78"), set(), None),
        (totals(), totals(), totals(), {"a"}, None),
        (totals(a="1"), totals(a="1"), totals(a="3"), {"a"}, "contradiction"),
        (totals(a="2", b="1"), totals(a="2", b="1"), totals(a="3", b="2"), {"a", "b"}, "contradiction"),
    ],
)
def test_the_verdict_on_end_date(first_two: Any, last_two: Any, all_three: Any, steady: set[str], verdict: Any) -> None:
    assert judge_end_day(first_two, last_two, all_three, steady=steady) == verdict


@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 11, 1)])
def test_days_of_23_and_25_hours_count_once(people: People, day: date) -> None:
    with noon_of(day + timedelta(days=7)):
        world = world_on(day)
        serial = vm(world, day=day, hour=23)
        pull(world)
        assert days_of(serial) == {day + timedelta(days=n): D("6.3900") for n in range(7)}


def test_the_window_is_ninety_days(people: People) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY)
        install_transport(SandboxTransport(world.sandbox))
        pull(world)
        with acting_as(SETUP):
            days = AccountDay.objects.order_by("day").values_list("day", flat=True)
            assert (days[0], len(days)) == (TODAY - timedelta(days=90), 90)


def test_consumption_groups(people: People) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY)
        serial = vm(world, day=START)
        world.sync()
        give([serial], "acme", START)
        pull(world)
        query = f"consumption?from={START}&to={TODAY}&group_by="
        assert people.acme.get(query + "config").json()["results"] == [{"config": world.config_id, "points": "76.6800"}]
        assert people.acme.get(query + "month").json()["results"] == [{"month": "2026-08", "points": "76.6800"}]
        assert people.acme.get(query + "entitlement").json()["results"] == [
            {"serial_number": serial, "points": "76.6800"}
        ]
        assert people.globex.get(query + "day").json()["results"] == []
        wrong = people.acme.get(f"consumption?from={TODAY}&to={START}")
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (400, "?from")


def test_a_past_hand_over_does_not_show_the_old_owners_labels(people: People) -> None:
    with noon_of(TODAY):
        world = world_on(TODAY)
        serial = vm(world, day=START)
        world.sync()
        give([serial], "acme", START)
        people.acme.patch(f"entitlements/{serial}", {"labels": {"cost": "7"}})
        pull(world)
        query = f"consumption?from={START}&to={TODAY}&group_by=label"
        assert people.acme.get(query).json()["results"] == [{"label": "cost=7", "points": "76.6800"}]
        give([serial], "globex", TODAY - timedelta(days=5))
        assert people.globex.get(query).json()["results"] == [{"label": None, "points": "31.9500"}]
        assert people.acme.get(query).json()["results"] == [{"label": "cost=7", "points": "44.7300"}]
