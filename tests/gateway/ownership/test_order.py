"""Days that are stored and owners that change at the same moment: neither looks past the other."""

import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connections

from gateway.ledger.pull import pull_points
from gateway.models import LedgerEntry
from gateway.ownership import assigning
from tenants.context import acting_as
from tests.databases import OwnDatabase
from tests.gateway.ledger.scenes import give, noon_of, vm
from tests.people import SETUP, make_people
from tests.worlds import SandboxWorld, make_world

START, TODAY = date(2026, 8, 1), date(2026, 8, 20)


@pytest.fixture
def place(own_database: OwnDatabase) -> SandboxWorld:
    make_people()
    with noon_of(START):
        return make_world()


def beside(work: Callable[[], Any]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_pull_during_a_hand_over_waits_for_it_and_sees_the_new_owner(
    place: SandboxWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    serial = vm(place, day=START, hour=9)
    with noon_of(TODAY):
        place.sync()
        give([serial], "acme", START)
        flip, others = assigning.flip_owners, []

        def flip_late(*args: Any, **more: Any) -> int:
            """The points come when the hand-over has looked at the ledger and is not committed yet."""
            if not others:
                others.append(beside(lambda: pull_points(place.api_user, first=START, last=TODAY - timedelta(days=2))))
                time.sleep(1)
            return flip(*args, **more)

        monkeypatch.setattr(assigning, "flip_owners", flip_late)
        give([serial], "globex", START)
        others[0].join()
        with acting_as(SETUP):
            owners = set(LedgerEntry.objects.filter(points__gt=0).values_list("tenant__slug", flat=True))
        assert owners == {"globex"}
