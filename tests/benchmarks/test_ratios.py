"""Ratios against a limit in the same run, never absolute times: `make bench`."""

import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from django.db import connection

from billing.gather import gather_usage
from gateway.upstream import client_for
from tenants.context import acting_as
from tests.gateway.ledger.scenes import give, noon_of
from tests.gateway.test_mirror import row_versions
from tests.people import SETUP, People
from tests.worlds import ACCOUNT, PROGRAM, SandboxWorld


def best_of(work: Callable[[], Any], *, times: int = 7) -> float:
    """Seconds of the fastest run: the least disturbed by whatever else the machine does."""
    work()
    return min(seconds_of(work) for _ in range(times))


def seconds_of(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def medians_in_turn(ours: Callable[[], Any], limit: Callable[[], Any], *, times: int) -> list[float]:
    """Seconds of both, measured in turn: what the machine does in a moment, and when garbage is collected, falls on both."""
    ours(), limit()
    pairs = [(seconds_of(ours), seconds_of(limit)) for _ in range(times)]
    return [statistics.median(column) for column in zip(*pairs, strict=True)]


def show(name: str, ours: float, limit: float, *, at_most: float) -> None:
    ratio = ours / limit
    print(f"\n{name}: {ratio:.2f} × its limit (at most {at_most})")  # noqa: T201 - this is what a bench is for
    assert ratio <= at_most


def test_a_sync_of_unchanged_entitlements_against_fetching_and_parsing_them(
    people: People, world: SandboxWorld
) -> None:
    for _ in range(200):
        world.sandbox.create_vm(world.config_id, count=100, description="x")
    world.sync()
    client = client_for(world.api_user, interactive=True)
    before = row_versions()

    def fetch() -> None:
        assert len(client.list_entitlements(account_id=ACCOUNT, program_serial=PROGRAM).value) == 20_000

    show("sync of 20,000 unchanged entitlements", *medians_in_turn(world.sync, fetch, times=7), at_most=2)
    assert row_versions() == before, "a pass over what has not changed writes no row"


def test_gathering_a_month_against_a_bare_group_by(people: People, world: SandboxWorld) -> None:
    first = date(2026, 8, 1)
    with noon_of(date(2026, 9, 4)):
        serials = world.sandbox.create_vm(world.config_id, count=100, skipPending=True)
        world.sync()
        give(serials, "acme", first)
        tenant = People.tenant("acme")
        with acting_as(SETUP), connection.cursor() as cursor:
            cursor.execute("SELECT flexgate_ensure_ledger_month(%s)", [first])
            fill_ledger(world, serials, first)
            summed = "SELECT tenant_id, serial_number, sum(points) FROM gateway_ledgerentry GROUP BY 1, 2"

            def bare() -> None:
                cursor.execute(summed)
                cursor.fetchall()

            ours = best_of(lambda: gather_usage(tenant, first, first + timedelta(days=30)))
            show("gathering a tenant's month", ours, best_of(bare), at_most=30)


def fill_ledger(world: SandboxWorld, serials: list[str], first: date) -> None:
    from decimal import Decimal

    from gateway.ledger.fetch import Fetched
    from gateway.ledger.store import store_day
    from gateway.models import PointsFetch
    from tenants import clock

    for offset in range(31):
        day = first + timedelta(days=offset)
        row = PointsFetch.objects.create(
            api_user=world.api_user,
            api_url=world.api_user.api_url,
            program_serial=PROGRAM,
            account_id=ACCOUNT,
            asked_from=day,
            asked_to=day,
            purpose="day",
            sent_at=clock.now(),
            answered_at=clock.now(),
            outcome="answered",
            body=b"",
            body_sha256="",
            total=Decimal("6.39") * len(serials),
        )
        store_day(Fetched(row, dict.fromkeys(serials, Decimal("6.3900"))), day, certain=True)
