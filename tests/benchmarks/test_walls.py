"""What the walls cost, each against the same work without it, in one run."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections

from gateway.entitlement_list import find_entitlements
from tenants import authentication
from tenants.context import acting_as
from tenants.rls import registered_tables
from tenants.sealing import seal_audit, seal_events
from tests.benchmarks.test_ratios import show
from tests.databases import OwnDatabase
from tests.people import SETUP, ApiClient, make_people
from tests.worlds import make_world

FILL = """
    INSERT INTO gateway_entitlement (serial_number, program_id, account_id, config_id, tenant_id, description, upstream_description,
        proposed_tenant, status, token, token_status, folder_path, labels, operator_labels, first_seen_at, raw)
    SELECT 'FGVMBENCH' || lpad(n::text, 8, '0'), c.program_id, c.account_id, c.id, (ARRAY(SELECT id FROM tenants_tenant ORDER BY slug))[1 + n % 2],
        'branch ' || n, '', '', 'ACTIVE', '', '', '', '{}', '{}', now(), '{}'
    FROM generate_series(1, 40000) n CROSS JOIN (SELECT * FROM gateway_config LIMIT 1) c
"""
QUEUED = """
    INSERT INTO tenants_event (id, at, type, subject_type, subject_key, request_id, data, tenant_id)
    SELECT gen_random_uuid(), now(), 'tenant.created', 'tenant', n::text, '', '{}', (ARRAY(SELECT id FROM tenants_tenant ORDER BY slug))[1 + n % 2]
    FROM generate_series(1, 20000) n
"""


def compare(one: Callable[[], Any], other: Callable[[], Any], *, times: int = 60) -> float:
    """The ratio of medians of interleaved runs: what disturbs one disturbs both."""
    found: dict[int, list[float]] = {0: [], 1: []}
    for work in (one, other):
        work()
    for _ in range(times):
        for number, work in enumerate((one, other)):
            started = time.perf_counter()
            work()
            found[number].append(time.perf_counter() - started)
    return statistics.median(found[0]) / statistics.median(found[1])


def switch_policies(on: bool) -> None:
    act = "ENABLE ROW LEVEL SECURITY, FORCE" if on else "NO FORCE ROW LEVEL SECURITY, DISABLE"
    with connections["owner"].cursor() as cursor:
        for right in registered_tables().values():
            if right.tenant_rule is not None:
                cursor.execute(f"ALTER TABLE {right.table} {act} ROW LEVEL SECURITY")


@pytest.fixture
def acme(own_database: OwnDatabase) -> ApiClient:
    people = make_people()
    make_world()
    with acting_as(SETUP), connection.cursor() as cursor:
        cursor.execute(FILL)
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE")
    return people.acme


def test_row_level_security_on_the_list_read(acme: ApiClient) -> None:
    """100 of 20,000 own rows among 40,000, as the list reads them."""
    actor = acme.actor

    def read() -> None:
        assert len(find_entitlements(actor, {}, beyond="FGVMBENCH00020000", count=100)) == 100

    # The statement leaves little to do but the reading, so that a third of a millisecond to plan and ask the walls is a good part of it.
    for name, work, at_most in (
        ("the list's query", read, 1.6),
        ("GET entitlements?limit=100", lambda: acme.get("entitlements?limit=100"), 1.25),
    ):
        ratios = []
        for _ in range(4):  # by turns: the switch is the owner's, so single reads can't be interleaved
            seconds = []
            for on in (True, False):
                switch_policies(on)
                seconds.append(median_of(work))
            ratios.append(seconds[0] / seconds[1])
        show(f"{name}, with row-level security against without", statistics.median(ratios), 1.0, at_most=at_most)


def median_of(work: Callable[[], Any], *, times: int = 80) -> float:
    for _ in range(5):
        work()
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def test_counting_requests(acme: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    take = authentication.take

    def without() -> None:
        monkeypatch.setattr(authentication, "take", lambda rates: [])
        acme.get("whoami")
        monkeypatch.setattr(authentication, "take", take)

    show(
        "whoami, with its rates counted against without",
        compare(lambda: acme.get("whoami"), without),
        1.0,
        at_most=1.25,
    )


def test_sealing_against_a_bare_insert_of_the_same_rows(acme: ApiClient) -> None:
    seal_events()
    started = time.perf_counter()
    with acting_as(SETUP), connection.cursor() as cursor:
        cursor.execute(QUEUED)
    inserted = time.perf_counter() - started
    started = time.perf_counter()
    assert seal_events() == 20_000
    show("placing 20,000 events against inserting them", time.perf_counter() - started, inserted, at_most=4)
    seal_audit()
