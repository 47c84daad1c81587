"""Passes: in the order of age, cheap, whole accounts or nothing, one at a time; what moved is not what vanished."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import time_machine
from django.core.management import CommandError, call_command

from gateway import upstream
from gateway.fortiflex.errors import FortiFlexError
from gateway.mirror import PassUnderWay, hold, sync_api_user
from gateway.models import (
    ApiUser,
    Assignment,
    Config,
    Entitlement,
    Placement,
    Program,
    ProgramAccount,
    Refusal,
    UpstreamLane,
)
from gateway.ownership import forget_day
from gateway.sandbox import SandboxTransport
from gateway.sandbox.faults import Kind
from gateway.tasks import sync_one
from tenants import clock
from tenants.context import acting_as
from tenants.leases import lease_for, take_lease
from tenants.models import Event
from tests.gateway.test_mirror import assign
from tests.people import SETUP, People
from tests.worlds import ACCOUNT, ENT_2, ENT_4, PROGRAM, SandboxWorld, add_api_user

OTHER, THIRD = ACCOUNT + 1, ACCOUNT + 2


class WatchedTransport(SandboxTransport):
    """Notes every call of the API with its account, and lets a test act or refuse before it is answered."""

    def __init__(self, world: SandboxWorld) -> None:
        super().__init__(world.sandbox)
        self.asked: list[tuple[str, int | None]] = []
        self.before: Callable[[str, dict[str, Any]], httpx.Response | None] = lambda path, body: None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.partition("/fortiflex/v2/")[2]
        if not path:
            return super().handle_request(request)
        body = json.loads(request.read() or b"{}")
        self.asked.append((path, body.get("accountId")))
        return self.before(path, body) or super().handle_request(request)

    def lists(self) -> list[int | None]:
        """The accounts whose entitlements were asked for, in order; forgets them."""
        found = [account for path, account in self.asked if path == "entitlements/list"]
        self.asked.clear()
        return found


@pytest.fixture
def watched(world: SandboxWorld) -> WatchedTransport:
    transport = WatchedTransport(world)
    upstream.install_transport(transport)
    return transport


def refuse(account_id: int) -> Callable[[str, dict[str, Any]], httpx.Response | None]:
    refusal = {"status": -1, "message": "Authorization denied.", "error": None}

    def before(path: str, body: dict[str, Any]) -> httpx.Response | None:
        denied = path == "entitlements/list" and body.get("accountId") == account_id
        return httpx.Response(401, json=refusal) if denied else None

    return before


def add_account(world: SandboxWorld, account_id: int, name: str = "elsewhere") -> int:
    """A further account of the organisation, with a config in it."""
    world.sandbox.add_account(account_id)
    made = world.sandbox.create_config(
        program=PROGRAM, name=name, product_type_id=1, parameters=ENT_2, account_id=account_id
    )
    return int(made["id"])


def transfer(world: SandboxWorld, serial: str, config: int, *, source: int = ACCOUNT, target: int = OTHER) -> None:
    with acting_as(SETUP):
        standing = Entitlement.objects.get(pk=serial).config_id
    world.sandbox.call(
        "entitlements/transfer",
        sourceAccountId=source,
        sourceConfigId=standing,
        targetAccountId=target,
        targetConfigId=config,
        serialNumbers=[serial],
    )


def told(serial: str) -> list[tuple[str, dict[str, Any]]]:
    with acting_as(SETUP):
        rows = Event.objects.filter(subject_key=serial, type__startswith="entitlement.").order_by("id")
        return list(rows.values_list("type", "data"))


def read_first(account_id: int) -> None:
    """Let the next pass begin with this account."""
    with acting_as(SETUP):
        ProgramAccount.objects.filter(account_id=account_id).update(mirrored_at=clock.now() - timedelta(days=1))


def accounts_in_mirror() -> list[int]:
    with acting_as(SETUP):
        rows = ProgramAccount.objects.exclude(mirrored_at=None).order_by("account_id")
        return list(rows.values_list("account_id", flat=True))


@pytest.fixture
def an_hour_later() -> Iterator[Callable[[float], None]]:
    """Moves the clock; back at the end."""
    with time_machine.travel(clock.now(), tick=True) as traveller:

        def move(hours: float) -> None:
            traveller.shift(timedelta(hours=hours))
            forget_day()

        yield move


def test_a_pass_makes_the_calls_that_it_must_and_no_more(world: SandboxWorld, watched: WatchedTransport) -> None:
    for _ in range(5):
        world.sandbox.create_vm(world.config_id, count=100)
    world.sync()
    assert watched.asked == [("programs/list", None), ("configs/list", None), ("entitlements/list", ACCOUNT)]


def test_the_account_read_longest_ago_goes_first_and_a_new_one_before_it(
    world: SandboxWorld, watched: WatchedTransport
) -> None:
    add_account(world, OTHER)
    world.sync()
    read_first(OTHER)
    watched.lists()
    add_account(world, THIRD)
    world.sync()
    assert watched.lists() == [OTHER, THIRD, ACCOUNT], "the third is known only once its program's configs are"
    world.sync()
    assert watched.lists() == [OTHER, THIRD, ACCOUNT]


def test_a_pass_that_the_limits_cut_short_goes_on_where_it_stopped(
    world: SandboxWorld, watched: WatchedTransport, an_hour_later: Callable[[float], None]
) -> None:
    for number in range(1, 5):
        add_account(world, ACCOUNT + number, f"config {number}")
    with acting_as(SETUP):
        ApiUser.objects.update(per_hour=9)  # background work has three fifths of them
    world.api_user.per_hour = 9
    read = []
    for _ in range(3):
        an_hour_later(2)
        client = upstream.client_for(world.api_user, interactive=False, wait_seconds=0)
        report = sync_api_user(world.api_user, client=client)
        read.append(watched.lists())
    assert [[account - ACCOUNT for account in accounts if account] for accounts in read] == [[0, 1], [2, 3], [4, 0]]
    assert report.stopped
    assert report.left > 0
    assert not report.complete


def test_a_refused_account_is_asked_last_and_once_an_hour_and_then_less_often(
    world: SandboxWorld, watched: WatchedTransport, an_hour_later: Callable[[float], None]
) -> None:
    add_account(world, OTHER)
    watched.before = refuse(OTHER)
    report = world.sync()
    assert [row[:2] for row in report.failed] == [(PROGRAM, OTHER)]
    watched.lists()
    asked = []
    for _ in range(8):
        an_hour_later(0.5)
        report = world.sync()
        asked.append(watched.lists())
    assert asked == [
        [ACCOUNT],
        [ACCOUNT, OTHER],  # an hour after the first refusal
        [ACCOUNT],
        [ACCOUNT],
        [ACCOUNT],
        [ACCOUNT, OTHER],  # two hours after the second
        [ACCOUNT],
        [ACCOUNT],
    ]
    held_back = report.held_back[0]
    assert (held_back.program_serial, held_back.account_id, held_back.times) == (PROGRAM, OTHER, 3)
    assert "Authorization denied" in held_back.reason
    assert report.complete, "a known refusal is no new failure"
    watched.before = lambda path, body: None
    report = sync_api_user(world.api_user, ask_refused=True)
    assert (report.accounts, report.held_back) == (2, [])
    with acting_as(SETUP):
        assert not Refusal.objects.exists()


def test_a_lost_answer_is_asked_for_again_at_once_and_twice_lost_waits(
    world: SandboxWorld, watched: WatchedTransport
) -> None:
    for expected in ([ACCOUNT], [ACCOUNT], []):
        world.sandbox.plan_fault("entitlements/list", "cut_json")
        world.sync()
        assert watched.lists() == expected


@pytest.mark.parametrize("failure", ["cut", "http_500", "html"])
def test_a_login_that_did_not_come_through_puts_no_question_off(
    world: SandboxWorld, watched: WatchedTransport, failure: Kind
) -> None:
    world.sync()
    serial = world.sandbox.create_vm(world.config_id)[0]
    for question in ("programs/list", "configs/list", "entitlements/list"):

        def end_session(path: str, _: Any, question: str = question) -> None:
            if path == question:
                world.sandbox.world.api_users[0].access_token = "of another login"

        watched.before = end_session
        world.sandbox.plan_fault("oauth/token", failure)
        with pytest.raises(FortiFlexError):
            world.sync()
        watched.before = lambda path, body: None
        with acting_as(SETUP):
            assert not Refusal.objects.exists()
            UpstreamLane.objects.update(failures=0, closed_until=None, closed_reason="")
    world.sync()
    with acting_as(SETUP):
        assert Entitlement.objects.filter(serial_number=serial).exists()


def test_an_upstream_that_answers_nothing_is_not_asked_on_and_on(
    world: SandboxWorld, watched: WatchedTransport
) -> None:
    for number in range(1, 8):
        add_account(world, ACCOUNT + number, f"config {number}")
    world.sandbox.plan_fault("entitlements/list", "http_500", times=100)
    with pytest.raises(FortiFlexError, match="does not answer"):
        world.sync()
    assert len(watched.lists()) == 2


def test_a_config_never_shows_without_its_accounts_entitlements(people: People, world: SandboxWorld) -> None:
    world.sync()
    with acting_as(SETUP):
        before = Config.objects.get().parameters
    world.sandbox.resize(world.config_id, ENT_4)
    fresh = world.add_config("fresh", ENT_4)
    world.sandbox.create_vm(fresh)
    world.sandbox.plan_fault("entitlements/list", "cut_json")
    world.sync()
    shown = [row["id"] for row in people.operator.get("configs").json()["results"]]
    assert shown == [world.config_id]
    with acting_as(SETUP):
        assert Config.objects.get().parameters == before
    world.sync()
    with acting_as(SETUP):
        assert Config.objects.count() == 2
        assert Entitlement.objects.count() == 1


def test_what_was_made_between_two_calls_is_no_failure(world: SandboxWorld, watched: WatchedTransport) -> None:
    """Its config is not in the list that was asked for before: the configs are asked for once more."""

    def make_meanwhile(path: str, body: dict[str, Any]) -> None:
        if path == "entitlements/list":
            watched.before = lambda path, body: None
            world.sandbox.create_vm(world.add_config("meanwhile", ENT_4))

    watched.before = make_meanwhile
    report = world.sync()
    assert (report.failed, report.new) == ([], 1)
    assert [path for path, _ in watched.asked].count("configs/list") == 2


@pytest.mark.parametrize("first", [ACCOUNT, OTHER])
@pytest.mark.parametrize("readers", [1, 2])
def test_a_transfer_is_one_change_whichever_account_is_read_first(
    people: People, world: SandboxWorld, watched: WatchedTransport, first: int, readers: int
) -> None:
    target = add_account(world, OTHER)
    serial = world.sandbox.create_vm(world.config_id, skipPending=True, description="x")[0]
    world.sync()
    users = [world.api_user]
    if readers == 2:
        users.append(add_api_user("second"))
        people.operator.post(f"programs/{PROGRAM}/accounts", {"account_id": OTHER, "api_user": "second"})
    assign(people, serial, "acme", "2026-01-01")
    before = told(serial)
    transfer(world, serial, target)
    read_first(first)
    for user in users if first == ACCOUNT else reversed(users):
        sync_api_user(user)
    read = [account for account in watched.lists() if account]
    assert read[-2:] == [first, ({ACCOUNT, OTHER} - {first}).pop()]
    assert told(serial)[len(before) :] == [("entitlement.changed_outside", {"config": target, "account_id": OTHER})], (
        "and for its owner, who stays"
    )
    shown = people.acme.get(f"entitlements/{serial}").json()
    assert (shown["account_id"], shown["config"], shown["tenant"]) == (OTHER, target, "acme")
    with acting_as(SETUP):
        places = list(Placement.objects.filter(serial_number=serial).order_by("from_day"))
        assert (places[-1].account_id, places[-1].until_day) == (OTHER, None)
        assert Assignment.objects.filter(serial_number=serial).count() == 1
    for user in users:
        sync_api_user(user)
    assert len(told(serial)) == len(before) + 1


def test_a_transfer_between_two_calls_of_a_pass_is_still_one_change(
    world: SandboxWorld, watched: WatchedTransport
) -> None:
    """The new account was read before, the old one after it: neither list has it."""
    target = add_account(world, OTHER)
    serial = world.sandbox.create_vm(world.config_id, skipPending=True)[0]
    world.sync()
    read_first(OTHER)

    def move_meanwhile(path: str, body: dict[str, Any]) -> None:
        if path == "entitlements/list" and body["accountId"] == ACCOUNT:
            watched.before = lambda path, body: None
            transfer(world, serial, target)

    watched.before = move_meanwhile
    world.sync()
    assert [name for name, _ in told(serial)] == ["entitlement.appeared"]
    world.sync()
    assert [name for name, _ in told(serial)] == ["entitlement.appeared", "entitlement.changed_outside"]


def test_a_transfer_into_another_program_names_it(people: People, world: SandboxWorld) -> None:
    day = world.sandbox.clock.today()
    other = "ELAVMS0000000002"
    world.sandbox.add_program(other, account_id=OTHER, start=day - timedelta(days=10), end=day + timedelta(days=10))
    world.sandbox.add_account(OTHER)
    made = world.sandbox.create_config(
        program=other, name="there", product_type_id=1, parameters=ENT_2, account_id=OTHER
    )
    serial = world.sandbox.create_vm(world.config_id, skipPending=True)[0]
    world.sync()
    transfer(world, serial, int(made["id"]))
    world.sync()
    assert told(serial)[1:] == [
        ("entitlement.changed_outside", {"config": made["id"], "account_id": OTHER, "program": other})
    ]
    with acting_as(SETUP):
        last = Placement.objects.get(serial_number=serial, until_day=None)
    assert (last.program_serial, last.account_id) == (other, OTHER)


def test_what_is_nowhere_any_more_has_vanished_once_every_account_was_read(
    people: People, world: SandboxWorld, watched: WatchedTransport
) -> None:
    add_account(world, OTHER)
    add_account(world, THIRD)
    watched.before = refuse(THIRD)  # what can't be read keeps nothing in doubt
    serial = world.sandbox.create_vm(world.config_id)[0]
    world.sync()
    world.sandbox.world.entitlements[0].removed = True
    read_first(ACCOUNT)
    assert world.sync().vanished == 1
    assert [name for name, _ in told(serial)] == ["entitlement.appeared", "entitlement.vanished"]


def test_two_passes_of_one_api_user_never_run_at_once(world: SandboxWorld, watched: WatchedTransport) -> None:
    with lease_for(f"sync {world.api_user.id}", seconds=60):
        with pytest.raises(PassUnderWay):
            world.sync()
        sync_one(str(world.api_user.id))
        with pytest.raises(CommandError, match="Not everything could be read"):
            call_command("sync")
        assert watched.asked == []
    world.sync()
    assert watched.lists() == [ACCOUNT]


def test_a_pass_that_lost_its_lease_stores_nothing_more(
    world: SandboxWorld,
    watched: WatchedTransport,
    monkeypatch: pytest.MonkeyPatch,
    an_hour_later: Callable[[float], None],
) -> None:
    world.sandbox.create_vm(world.config_id)
    monkeypatch.setattr(hold, "RENEW_SECONDS", 0)

    def lose(path: str, body: dict[str, Any]) -> None:
        if path == "entitlements/list":
            an_hour_later(1)
            assert take_lease(f"sync {world.api_user.id}", seconds=3600) is not None

    watched.before = lose
    with pytest.raises(FortiFlexError, match="Another pass"):
        world.sync()
    with acting_as(SETUP):
        assert not Entitlement.objects.exists()


def test_a_balance_is_asked_for_when_it_can_matter(
    people: People, world: SandboxWorld, watched: WatchedTransport, an_hour_later: Callable[[float], None]
) -> None:
    day, prepaid = world.sandbox.clock.today(), "ELAVMR0000000001"
    span = {"start": day - timedelta(days=10), "end": day + timedelta(days=100)}
    world.sandbox.add_program(prepaid, account_id=ACCOUNT, point_balance=1000, **span)  # type: ignore[arg-type]

    def asked() -> int:
        watched.asked.clear()
        world.sync()
        return [path for path, _ in watched.asked].count("programs/points")

    assert [asked(), asked()] == [1, 0]
    an_hour_later(7)
    assert [asked(), asked()] == [1, 0]
    with acting_as(SETUP):
        Program.objects.filter(serial_number=prepaid).update(point_balance=0)
    assert [asked(), asked()] == [1, 0], "who bought points need not wait"
