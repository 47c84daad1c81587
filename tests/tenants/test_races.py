"""Two at once, with real commits: what ends makes nothing more, and nobody waits for each other crosswise."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from gateway.days import today
from tenants.authentication import find_token
from tenants.context import acting_as
from tenants.models import Token
from tenants.problems import Problem
from tenants.session_tokens import end_session, find_session, open_session, renew_session
from tenants.tokens import issue_token, revoke_all_tokens, rotate_token
from tests.databases import OwnDatabase
from tests.gateway.dropin.clients import credentials
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People, make_people
from tests.worlds import make_world


@pytest.fixture
def people(own_database: OwnDatabase) -> People:
    return make_people()


def together(*works: Any) -> list[Any]:
    """Each in its own thread and connection, started at the same moment; a Problem is a result too."""
    start = threading.Barrier(len(works))

    def run(work: Any) -> Any:
        start.wait()
        try:
            return work()
        except Problem as problem:
            return problem
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@pytest.mark.parametrize("attempt", range(5))
def test_revoking_all_leaves_no_token_that_was_made_meanwhile(people: People, attempt: int) -> None:
    """A thief rotates and makes children while the operator revokes: whichever goes first, nothing lives afterwards."""
    acme = People.tenant("acme")
    thief = people.acme.actor
    row = people.acme.row
    assert row is not None
    made = together(
        lambda: rotate_token(thief, tenant_slug="acme", token_id=row.id, overlap=timedelta(minutes=5)),
        lambda: issue_token(thief, tenant=acme, name="child"),
        lambda: revoke_all_tokens(SETUP, tenant=acme),
        lambda: issue_token(thief, tenant=acme, name="another"),
    )
    texts = [one.text for one in made if hasattr(one, "text")]
    live = [text for text in texts if find_token(text, address="127.0.0.1") is not None]
    with acting_as(SETUP):
        unrevoked = Token.objects.filter(tenant=acme, revoked_at=None).count()
    assert (live, unrevoked) == ([], 0)
    assert find_token(str(people.acme.token), address="127.0.0.1") is None


def test_a_change_that_waited_for_a_hand_over_is_not_the_old_owners_any_more(people: People) -> None:
    """Found as acme's, locked after globex had it: as if it had never been there."""
    world = make_world()
    serial = world.sandbox.create_vm(world.config_id, skipPending=True)[0]
    world.sync()
    give([serial], "acme", today())
    held, go = threading.Event(), threading.Event()

    def hand_over() -> str:
        with acting_as(SETUP):
            give([serial], "globex", today())
            held.set()
            go.wait(10)
        return "done"

    def change() -> int:
        held.wait(10)
        threading.Timer(0.5, go.set).start()
        return int(people.acme.patch(f"entitlements/{serial}", {"labels": {"acme": "late"}}).status_code)

    assert together(hand_over, change) == ["done", 404]
    assert people.globex.get(f"entitlements/{serial}").json()["labels"] == {}


def test_many_that_revoke_and_make_at_once_all_come_to_an_end(people: People) -> None:
    acme = People.tenant("acme")
    works = [lambda: issue_token(SETUP, tenant=acme, name="x"), lambda: revoke_all_tokens(SETUP, tenant=acme)] * 6
    done = together(*works)
    assert not any(isinstance(one, Exception) for one in done)


@pytest.mark.parametrize("attempt", range(8))
def test_ending_a_session_ends_what_is_renewed_from_it_at_the_same_moment(people: People, attempt: int) -> None:
    given = credentials(people.acme)
    opened = open_session(token_id=given["username"], secret=given["password"], address="127.0.0.1")
    assert opened is not None
    refresh, access = opened.refresh_token, opened.access_token
    renewed, _ = together(
        lambda: renew_session(refresh_token=refresh, address="127.0.0.1"), lambda: end_session(access)
    )
    for one in (opened, renewed):
        assert one is None or find_session(one.access_token, address="127.0.0.1") is None
