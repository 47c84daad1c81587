"""Over random assigning, rules, lists, hand-overs and midnights: one owner per serial and day, and every point somebody's or nobody's."""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.assignment_lists import import_assignments
from gateway.assignment_rules import apply_rules, create_rule
from gateway.ledger.report import check_conservation
from gateway.models import Assignment, Entitlement, LedgerEntry
from gateway.ownership import ensure_flipped
from tenants.context import acting_as
from tests.gateway.ledger.scenes import give, noon_of, pull, vm, world_on
from tests.people import SETUP, People
from tests.worlds import ACCOUNT

FIRST, LENGTH, NUMBER = date(2026, 8, 1), 8, 3
LAST = FIRST + timedelta(days=LENGTH - 1)
OWNERS = st.sampled_from(["acme", "globex", None])
DAYS = st.integers(0, LENGTH + 5)  # some lie ahead
ONES = st.lists(st.integers(0, NUMBER - 1), min_size=1, max_size=NUMBER, unique=True)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("assign"), ONES, OWNERS, DAYS),
        st.tuples(st.just("list"), st.dictionaries(st.tuples(st.integers(0, NUMBER - 1), DAYS), OWNERS, max_size=5)),
        st.tuples(st.just("rules")),
        st.tuples(st.just("midnight")),
    ),
    max_size=8,
)
QUICK = settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@given(steps=STEPS)
@QUICK
def test_whatever_is_assigned_one_owner_and_no_point_lost(people: People, steps: list[Any]) -> None:
    live_and_check(people, steps)


@pytest.mark.soak
@given(steps=STEPS)
@settings(QUICK, max_examples=300)
def test_the_same_over_many_lives(people: People, steps: list[Any]) -> None:
    live_and_check(people, steps)


def live_and_check(people: People, steps: list[Any]) -> None:
    with transaction.atomic():
        now = LAST + timedelta(days=3)
        with noon_of(now):
            world = world_on(now)
            serials = [vm(world, day=FIRST + timedelta(days=n)) for n in range(NUMBER)]
            pull(world, first=FIRST)
            create_rule(SETUP, fields={"name": "all", "tenant": "globex", "account_id": ACCOUNT})
        wanted: dict[tuple[int, date], str | None] = {}
        touched: set[int] = set()
        for step in steps:
            with noon_of(now):
                match step:
                    case ("assign", chosen, slug, day):
                        give([serials[n] for n in chosen], slug, FIRST + timedelta(days=day))
                        for n in chosen:
                            expect(wanted, touched, n, slug, day)
                    case ("list", lines):
                        rows = [
                            f"{serials[n]},{slug or ''},{FIRST + timedelta(days=day)}\n"
                            for (n, day), slug in lines.items()
                        ]
                        import_assignments(SETUP, "serial_number,tenant,from_day\n" + "".join(rows), dry_run=False)
                        for (n, day), slug in sorted(lines.items(), key=lambda item: item[0][1]):
                            expect(wanted, touched, n, slug, day)
                    case ("rules",):
                        for n in set(range(NUMBER)) - touched:
                            expect(wanted, touched, n, "globex", n)
                        apply_rules(SETUP)
                    case _:
                        now += timedelta(days=1)
                        with noon_of(now):
                            ensure_flipped()
        with noon_of(now):
            check(serials, wanted, now)
        transaction.set_rollback(True)


def expect(
    wanted: dict[tuple[int, date], str | None], touched: set[int], which: int, slug: str | None, day: int
) -> None:
    """The same in the simplest form: from that day on, all days are that owner's. Only what has a period had an owner."""
    for n in range(day, LENGTH + 40):
        wanted[which, FIRST + timedelta(days=n)] = slug
    if any(owner for (one, _), owner in wanted.items() if one == which):
        touched.add(which)
    else:
        touched.discard(which)


def check(serials: list[str], wanted: dict[tuple[int, date], str | None], now: date) -> None:
    with acting_as(SETUP):
        ensure_flipped()
        report = check_conservation(FIRST, LAST)
        assert report.holds
        owned: Counter[tuple[str, date]] = Counter()
        owner_of: dict[tuple[str, date], str] = {}
        for item in Assignment.objects.select_related("tenant"):
            for n in range(LENGTH + 20):
                day = FIRST + timedelta(days=n)
                if item.from_day <= day and (item.until_day is None or day < item.until_day):
                    owned[item.serial_number, day] += 1
                    owner_of[item.serial_number, day] = item.tenant.slug
        assert max(owned.values(), default=1) == 1
        for which, serial in enumerate(serials):
            for n in range(LENGTH + 20):
                day = FIRST + timedelta(days=n)
                assert owner_of.get((serial, day)) == wanted.get((which, day))
        for row in LedgerEntry.objects.select_related("tenant"):
            assert (row.tenant.slug if row.tenant else None) == owner_of.get((row.serial_number, row.day))
        points = LedgerEntry.objects.filter(day__range=(FIRST, LAST)).values_list("points", flat=True)
        assert sum(points, Decimal(0)) == report.attributed + report.unassigned
        for row in Entitlement.objects.select_related("tenant"):
            assert (row.tenant.slug if row.tenant else None) == owner_of.get((row.serial_number, now))
