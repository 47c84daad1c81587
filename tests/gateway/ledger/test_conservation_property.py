"""Over random lives of random entitlements: nothing is lost, nothing doubled, and nobody shares a day."""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.fortiflex.days import pacific_moment
from gateway.ledger.report import check_conservation, read_account_days
from gateway.models import ApiUser, Assignment, LedgerEntry
from gateway.sandbox.refusals import Refusal
from tenants.context import acting_as
from tests.gateway.ledger.scenes import give, noon_of, pull, truth, vm, world_on
from tests.people import SETUP, People
from tests.worlds import ENT_2, ENT_4

FIRST, LENGTH = date(2026, 8, 1), 12
EVENTS = st.lists(
    st.tuples(
        st.integers(0, LENGTH - 1),  # on which day
        st.integers(0, 23),  # at which hour
        st.sampled_from(["stop", "reactivate", "grow", "shrink", "disable", "enable"]),
        st.integers(0, 2),  # which entitlement
    ),
    max_size=12,
)
HAND_OVERS = st.lists(
    st.tuples(st.integers(0, LENGTH - 1), st.integers(0, 2), st.sampled_from(["acme", "globex", None])), max_size=6
)


QUICK = settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@given(events=EVENTS, hand_overs=HAND_OVERS, counts=st.booleans())
@QUICK
def test_every_point_has_at_most_one_owner_and_none_is_lost(
    people: People, events: list[Any], hand_overs: list[Any], counts: bool
) -> None:
    live_and_check(people, events, hand_overs, counts)


@pytest.mark.soak
@given(events=EVENTS, hand_overs=HAND_OVERS, counts=st.booleans())
@settings(QUICK, max_examples=300)
def test_the_same_over_many_lives(people: People, events: list[Any], hand_overs: list[Any], counts: bool) -> None:
    live_and_check(people, events, hand_overs, counts)


def live_and_check(
    people: People, events: list[tuple[int, int, str, int]], hand_overs: list[tuple[int, int, str | None]], counts: bool
) -> None:
    with transaction.atomic():
        last = FIRST + timedelta(days=LENGTH - 1)
        with noon_of(last + timedelta(days=3)):
            world = world_on(last, end_day_counts=counts)
            serials = [vm(world, day=FIRST, hour=hour) for hour in (0, 9, 23)]
            steady = vm(world, day=FIRST - timedelta(days=1))
            for day, hour, what, which in sorted(events):
                with world.sandbox.at(pacific_moment(FIRST + timedelta(days=day), hour)):
                    live(world, what, serials[which])
            world.sync()
            give([steady], "acme", FIRST)
            for day, which, slug in hand_overs:
                give([serials[which]], slug, FIRST + timedelta(days=day))
            pull(world, first=FIRST)
            give([serials[0]], "globex", FIRST + timedelta(days=5))
            with acting_as(SETUP):
                report = check_conservation(FIRST, last)
                assert report.holds
                states = {row.day: row.state for row in read_account_days(FIRST, last)}
                for row in report.rows:
                    # A day that is not calibrated is not billed; every other one is the sandbox's truth to the last digit.
                    wanted = truth(world, row.day, row.day) if states[row.day] == "answered" else Decimal(0)
                    assert row.fetched == wanted
                owned = {
                    tuple(row): owner
                    for *row, owner in LedgerEntry.objects.values_list("day", "serial_number", "tenant_id")
                }
                days: Counter[tuple[date, str]] = Counter()
                for item in Assignment.objects.all():
                    for n in range(LENGTH):
                        day_n = FIRST + timedelta(days=n)
                        if item.from_day <= day_n and (item.until_day is None or day_n < item.until_day):
                            days[day_n, item.serial_number] += 1
                            assert owned.get((day_n, item.serial_number), item.tenant_id) == item.tenant_id
                assert max(days.values()) == 1
                assert (
                    sum(
                        LedgerEntry.objects.filter(day__range=(FIRST, last)).values_list("points", flat=True),
                        Decimal(0),
                    )
                    == report.attributed + report.unassigned
                )
                assert ApiUser.objects.count() == 1
        transaction.set_rollback(True)


def live(world: object, what: str, serial: str) -> None:
    """What a life may bring; what FortiFlex refuses then simply does not happen."""
    sandbox, config = world.sandbox, world.config_id  # type: ignore[attr-defined]
    try:
        match what:
            case "stop":
                sandbox.stop(serial)
            case "reactivate":
                sandbox.reactivate(serial)
            case "grow":
                sandbox.resize(config, ENT_4)
            case "shrink":
                sandbox.resize(config, ENT_2)
            case _:
                sandbox.call(f"configs/{what}", id=config)
    except Refusal:
        return
