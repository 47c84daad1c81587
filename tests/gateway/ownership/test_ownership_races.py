"""Two at once, with real commits: whoever waits for the other sees what it did."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection

from gateway.assignment_lists import import_assignments
from gateway.assignment_rules import apply_rules, create_rule
from gateway.days import today
from gateway.fortiflex.days import pacific_moment
from gateway.ledger.store import ensure_month
from gateway.models import ApiUser, Assignment, Entitlement, LedgerEntry, Operation, PointsFetch
from gateway.ownership import assign_serials, ensure_flipped, flip_owners, forget_day
from tenants import clock
from tenants.context import acting_as
from tenants.problems import Problem
from tests.databases import OwnDatabase
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People, make_people
from tests.worlds import ACCOUNT, SandboxWorld, make_world


@pytest.fixture
def world(own_database: OwnDatabase) -> SandboxWorld:
    make_people()
    return make_world()


def while_first_is_open(first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    """`second` starts after `first` has written and before it commits, and has to wait; what `second` came to."""
    written, started = threading.Event(), threading.Event()

    def open_first() -> None:
        try:
            with acting_as(SETUP):
                first()
                written.set()
                started.wait(5)
                _wait_for_a_lock()
        finally:
            written.set()
            connection.close()

    def then_second() -> Any:
        try:
            written.wait(5)
            started.set()
            return second()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(open_first), pool.submit(then_second)
        one.result(30)
        return other.result(30)


def _wait_for_a_lock() -> None:
    """Until somebody waits for what this transaction holds."""
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
        threading.Event().wait(0.02)
    raise AssertionError("Nobody waited: this test shows nothing.")


def points_of_nothing_mirrored() -> str:
    day, now = today() - timedelta(days=1), clock.now()
    with acting_as(SETUP):
        ensure_month(day)
        fetch = PointsFetch.objects.create(
            api_user=ApiUser.objects.get(),
            program_serial="P",
            account_id=1,
            asked_from=day,
            asked_to=day,
            purpose="day",
            sent_at=now,
            answered_at=now,
            outcome="answered",
            body=b"",
        )
        LedgerEntry.objects.create(
            day=day, serial_number="GONE000001", program_serial="P", account_id=1, points=1, fetch=fetch
        )
    return "GONE000001"


@pytest.mark.parametrize("ahead", [0, 3])
def test_rules_see_an_assignment_that_they_had_to_wait_for(world: SandboxWorld, ahead: int) -> None:
    taken, free = world.sandbox.create_vm(world.config_id, count=2)
    world.sync()
    create_rule(SETUP, fields={"name": "all", "tenant": "globex", "account_id": ACCOUNT})
    acme, day = People.tenant("acme"), today() + timedelta(days=ahead)
    found = while_first_is_open(
        lambda: assign_serials(SETUP, serials=[taken], tenant=acme, from_day=day), lambda: apply_rules(SETUP)
    )
    assert [row.candidate.serial_number for row in found.assigned] == [free]
    with acting_as(SETUP):
        assert dict(Assignment.objects.values_list("serial_number", "tenant__slug")) == {taken: "acme", free: "globex"}


def test_two_processes_at_midnight_renew_a_token_once(world: SandboxWorld) -> None:
    serial = world.sandbox.create_vm(world.config_id)[0]
    world.sync()
    give([serial], "acme", today())
    give([serial], "globex", today() + timedelta(days=1))
    tomorrow = today() + timedelta(days=1)

    def flip() -> int:
        with acting_as(SETUP):
            return flip_owners(tomorrow)

    assert while_first_is_open(flip, flip) == 0
    with acting_as(SETUP):
        assert Operation.objects.filter(kind="renew_token").count() == 1
        assert Entitlement.objects.get(serial_number=serial).tenant_id == People.tenant("globex").id


def test_midnight_waits_for_a_hand_over_that_was_begun_before_it(world: SandboxWorld) -> None:
    """Every process looks once a day: what it looked past would keep the owner of yesterday until tomorrow."""
    serial = world.sandbox.create_vm(world.config_id)[0]
    world.sync()
    give([serial], "acme", today())
    globex, tomorrow = People.tenant("globex"), today() + timedelta(days=1)
    with time_machine.travel(pacific_moment(today(), 23), tick=True) as traveller:

        def reach_midnight() -> None:
            traveller.shift(timedelta(hours=2))
            forget_day()
            ensure_flipped()

        while_first_is_open(
            lambda: assign_serials(SETUP, serials=[serial], tenant=globex, from_day=tomorrow), reach_midnight
        )
        with acting_as(SETUP):
            assert Entitlement.objects.get(serial_number=serial).tenant_id == globex.id


def test_two_lists_that_assign_what_the_ledger_alone_knows_are_told_of_each_other(world: SandboxWorld) -> None:
    """There is no row to lock: the second is refused by the constraint, and in words."""
    serial = points_of_nothing_mirrored()
    day = today() - timedelta(days=1)
    text = f"serial_number,tenant,from_day\n{serial},globex,{day}\n"
    with pytest.raises(Problem) as refused:
        while_first_is_open(
            lambda: assign_serials(SETUP, serials=[serial], tenant=People.tenant("acme"), from_day=day),
            lambda: import_assignments(SETUP, text, dry_run=False),
        )
    assert refused.value.code == "in_progress"
    with acting_as(SETUP):
        assert Assignment.objects.get().tenant.slug == "acme"
