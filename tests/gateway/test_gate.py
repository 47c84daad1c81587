"""The gate, with real threads on a database of their own: one lane, one token, counted windows."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections

from gateway import upstream
from gateway.access_tokens import forget_token
from gateway.fortiflex.errors import FortiFlexError, RateLimited
from gateway.gate import Asker, GateClosed, Standing, take_turn
from gateway.models import ApiUser, UpstreamCall, UpstreamLane
from gateway.upstream import client_for
from tenants import clock
from tenants.context import acting_as
from tests.databases import OwnDatabase
from tests.people import SETUP
from tests.worlds import SandboxWorld, make_world


@pytest.fixture
def world(own_database: OwnDatabase) -> SandboxWorld:
    return make_world(sync=False)


def limit(world: SandboxWorld, **limits: int) -> ApiUser:
    with acting_as(SETUP):
        UpstreamCall.objects.all().delete()
        ApiUser.objects.filter(id=world.api_user.id).update(**limits)
        return ApiUser.objects.get(id=world.api_user.id)


def test_many_threads_share_one_lane_and_one_token(world: SandboxWorld) -> None:
    forget_token(world.api_user)
    before = len(world.calls_of("oauth/token"))
    inside, most, guard = [0], [0], threading.Lock()
    transport = upstream._transport
    assert transport is not None
    handle = transport.handle_request

    def watch(request: object) -> object:
        with guard:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.01)
        try:
            return handle(request)  # type: ignore[arg-type]
        finally:
            with guard:
                inside[0] -= 1

    transport.handle_request = watch  # type: ignore[method-assign, assignment]

    def one(_: int) -> int:
        try:
            return len(client_for(world.api_user, interactive=True, wait_seconds=30).list_programs().value)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(24))) == [1] * 24
    assert most[0] == 1
    assert len(world.calls_of("oauth/token")) - before == 1


def test_a_full_minute_is_full_for_everybody(world: SandboxWorld) -> None:
    api_user = limit(world, per_minute=4)
    forget_token(api_user)
    client = client_for(api_user, interactive=True, wait_seconds=0)
    for _ in range(3):  # the login is a call too
        client.list_programs()
    with pytest.raises(GateClosed, match="calls a minute") as caught:
        client.list_programs()
    assert 50 <= caught.value.seconds <= 61


def test_our_own_error_limit_closes_before_fortiflexs(world: SandboxWorld) -> None:
    api_user = limit(world, errors_per_hour=2)
    client = client_for(api_user, interactive=True, wait_seconds=0)
    for _ in range(2):
        with pytest.raises(FortiFlexError):
            client.list_configs("no such program")
    before = len(world.sandbox.calls)
    with pytest.raises(GateClosed, match="errors an hour"):
        client.list_programs()
    assert len(world.sandbox.calls) == before


@pytest.mark.parametrize(("setting", "seconds"), [("per_minute", 60), ("per_hour", 3600)])
def test_fortiflexs_own_limit_closes_the_gate_for_its_window(world: SandboxWorld, setting: str, seconds: int) -> None:
    client = client_for(world.api_user, interactive=True, wait_seconds=0)
    client.list_programs()
    setattr(world.sandbox.settings, setting, 1)
    with pytest.raises(RateLimited):
        client.list_programs()
    with pytest.raises(GateClosed) as caught:
        client.list_programs()
    assert seconds - 5 <= caught.value.seconds <= seconds + 1


def test_a_dead_holders_lane_is_free_when_its_lease_runs_out(world: SandboxWorld) -> None:
    with acting_as(SETUP):
        UpstreamLane.objects.filter(api_user=world.api_user).update(
            holder="01890000-0000-7000-8000-000000000000", held_until=clock.now() + timedelta(seconds=0.5)
        )
    with pytest.raises(GateClosed, match="under way"):
        client_for(world.api_user, interactive=True, wait_seconds=0).list_programs()
    assert len(client_for(world.api_user, interactive=True, wait_seconds=5).list_programs().value) == 1


def test_a_superseded_token_is_renewed_once(world: SandboxWorld) -> None:
    client = client_for(world.api_user, interactive=True)
    client.list_programs()
    world.sandbox.world.api_users[0].access_token = "somebody else logged in"
    before = len(world.calls_of("oauth/token"))
    assert len(client.list_programs().value) == 1
    assert len(world.calls_of("oauth/token")) - before == 1
    with acting_as(SETUP):
        assert not UpstreamCall.objects.filter(failed=True).exists()


def test_a_wrong_password_closes_the_gate_and_burns_nothing(world: SandboxWorld) -> None:
    world.sandbox.world.api_users[0].password = "changed"
    world.sandbox.world.api_users[0].access_token = ""
    client = client_for(world.api_user, interactive=True, wait_seconds=0)
    before = len(world.calls_of("oauth/token"))
    for _ in range(3):
        with pytest.raises(FortiFlexError):
            client.list_programs()
    assert len(world.calls_of("oauth/token")) - before == 1


def test_no_call_is_made_inside_an_open_context(world: SandboxWorld) -> None:
    with acting_as(SETUP), pytest.raises(RuntimeError, match="inside an open tenant context"):
        client_for(world.api_user, interactive=True).list_programs()


def test_the_stored_token_is_encrypted_and_bound_to_its_row(world: SandboxWorld) -> None:
    client_for(world.api_user, interactive=True).list_programs()
    token = world.sandbox.world.api_users[0].access_token
    with acting_as(SETUP):
        lane, row = UpstreamLane.objects.get(), ApiUser.objects.get()
    assert token not in lane.access_token_encrypted
    assert "password" not in row.password_encrypted
    from tenants.secrets import SecretUnreadable, decrypt_text

    with pytest.raises(SecretUnreadable):
        decrypt_text(row.password_encrypted, bound_to="api_user:another:password")


def test_who_can_not_wait_for_a_closed_gate_is_told_at_once(world: SandboxWorld) -> None:
    with acting_as(SETUP):
        UpstreamLane.objects.filter(api_user=world.api_user).update(
            closed_until=clock.now() + timedelta(hours=1), closed_reason="x"
        )
    started = time.monotonic()
    with pytest.raises(GateClosed):
        client_for(world.api_user, interactive=True, wait_seconds=10).list_programs()
    assert time.monotonic() - started < 3


def test_a_new_password_opens_what_the_old_one_closed_and_nothing_else(world: SandboxWorld) -> None:
    from gateway.credentials import ApiUserFields, save_api_user

    user = world.sandbox.world.api_users[0]
    stale = client_for(world.api_user, interactive=True, wait_seconds=0)
    user.password, user.access_token = "changed", ""
    with pytest.raises(FortiFlexError):
        stale.list_programs()
    save_api_user(SETUP, name="main", fields=ApiUserFields(password="changed"))
    assert len(stale.list_programs().value) == 1
    with acting_as(SETUP):
        UpstreamLane.objects.update(
            closed_until=clock.now() + timedelta(hours=1), closed_reason="FortiFlex answered -30 (HTTP 429)"
        )
    save_api_user(SETUP, name="main", fields=ApiUserFields(password="changed"))
    with pytest.raises(GateClosed):
        stale.list_programs()


def test_proving_a_password_waits_for_the_call_under_way_and_costs_no_second_login(world: SandboxWorld) -> None:
    """A login ends the live token: it must not happen in the middle of somebody's call."""
    from gateway.credentials import ApiUserFields, save_api_user

    client_for(world.api_user, interactive=True).list_programs()
    logins = len(world.calls_of("oauth/token"))
    proven: list[float] = []

    def prove() -> None:
        try:
            save_api_user(SETUP, name="main", fields=ApiUserFields(password="password"))
            proven.append(time.monotonic())
        finally:
            connections.close_all()

    with take_turn(world.api_user, Asker(Standing.PEOPLE), wait_seconds=0, call_seconds=30, writes=False):
        other = threading.Thread(target=prove)
        other.start()
        time.sleep(0.5)
        assert len(world.calls_of("oauth/token")) == logins
        freed = time.monotonic()
    other.join()
    assert proven[0] >= freed
    client_for(world.api_user, interactive=True).list_programs()
    assert len(world.calls_of("oauth/token")) == logins + 1
