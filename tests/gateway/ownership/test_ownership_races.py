"""Two at once, with real commits: whoever waits for the other sees what it did."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from gateway.assignment_rules import apply_rules, create_rule
from gateway.days import today
from gateway.models import Assignment, Entitlement, Operation
from gateway.ownership import assign_serials, flip_owners
from tenants.context import acting_as
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
