"""An account goes to another API user in the moment in which a write of it is planned: one of both sees the other."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from gateway.by_hand import enter_account
from gateway.mirror import sync_api_user
from gateway.models import Operation, ProgramAccount
from gateway.operations import Plan
from gateway.provisioning.create import Wish, create_entitlements
from gateway.provisioning.drafts import draft_operation
from gateway.provisioning.idempotency import carry_out_draft
from gateway.provisioning.licence import renew_token
from gateway.provisioning.manner import Manner
from gateway.provisioning.moves import transfer_entitlements
from tenants.context import acting_as
from tenants.problems import Problem
from tenants.rows import Statement
from tests.databases import OwnDatabase
from tests.people import SETUP, People, make_people
from tests.worlds import ACCOUNT, ENT_2, PROGRAM, SandboxWorld, add_api_user, make_world

Write = Callable[[Manner], Any]


@pytest.fixture
def people(own_database: OwnDatabase) -> People:
    return make_people()


@pytest.fixture
def world(people: People) -> SandboxWorld:
    world = make_world()
    world.give_config(world.config_id, "acme")
    add_api_user("second")
    return world


@pytest.fixture(params=["create", "change"])
def write(request: pytest.FixtureRequest, people: People, world: SandboxWorld) -> Write:
    acme, tenant = people.acme.actor, people.tenant("acme")
    wish = Wish(config=world.config_id, count=1)
    if request.param == "create":
        return lambda manner: create_entitlements(acme, wish, tenant=tenant, manner=manner)
    made = create_entitlements(acme, wish, tenant=tenant)
    (serial,) = made.operation.serial_numbers
    return lambda manner: renew_token(acme, serial, manner=manner)


def move() -> str:
    row, _ = enter_account(SETUP, program_serial=PROGRAM, account_id=ACCOUNT, api_user="second")
    return row.api_user.name


def in_thread(pool: ThreadPoolExecutor, work: Callable[[], Any]) -> "Future[Any]":
    def run() -> Any:
        try:
            return work()
        except Problem as problem:
            return problem.code
        finally:
            connection.close()

    return pool.submit(run)


def reader() -> str:
    with acting_as(SETUP):
        return ProgramAccount.objects.get(account_id=ACCOUNT).api_user.name


def open_ones() -> list[str]:
    with acting_as(SETUP):
        return list(Operation.objects.filter(state="planned").values_list("api_user__name", flat=True))


def test_who_moves_the_account_waits_for_the_plan_and_sees_it(write: Write) -> None:
    planning, goes_on = threading.Event(), threading.Event()

    class Pause:
        """A fence that stands, once it is let go on."""

        def still_holds(self) -> Statement:
            planning.set()
            assert goes_on.wait(30)
            return Statement("true", [])

        def refusal(self) -> Problem:
            raise AssertionError

    with ThreadPoolExecutor(2) as pool:
        written = in_thread(pool, lambda: write(Manner(wait_seconds=0, fence=Pause())))
        assert planning.wait(30)
        moved = in_thread(pool, move)
        with pytest.raises(TimeoutError):
            moved.result(0.5)
        goes_on.set()
        assert written.result(30).operation.state == "planned"
        assert moved.result(30) == "in_progress"
    assert (reader(), open_ones()) == ("main", ["main"])


def test_who_plans_waits_for_the_move_and_plans_nothing_through_the_one_before(write: Write) -> None:
    moved, commit = threading.Event(), threading.Event()

    def move_slowly() -> None:
        with acting_as(SETUP):
            move()
            moved.set()
            assert commit.wait(30)

    with ThreadPoolExecutor(2) as pool:
        moving = in_thread(pool, move_slowly)
        assert moved.wait(30)
        written = in_thread(pool, lambda: write(Manner(wait_seconds=0)))
        with pytest.raises(TimeoutError):
            written.result(0.5)
        commit.set()
        moving.result(30)
        assert written.result(30) == "in_progress"
    assert (reader(), open_ones()) == ("second", [])
    write(Manner(wait_seconds=0))
    assert open_ones() == ["second"]


def test_a_plan_does_not_wait_for_a_pass_that_stores_the_account(write: Write, world: SandboxWorld) -> None:
    """The pass locks the account, then entitlements; a plan the other way round."""
    with acting_as(SETUP):
        ProgramAccount.objects.select_for_update(no_key=True).get(account_id=ACCOUNT)
        with ThreadPoolExecutor(1) as pool:
            assert in_thread(pool, lambda: write(Manner(wait_seconds=0))).result(10).operation.state == "planned"
    assert sync_api_user(world.api_user).failed == []


def test_what_is_sent_at_once_is_not_planned_through_the_one_before(people: People, world: SandboxWorld) -> None:
    """A creation of VMs that finds its lane free is journaled and claimed in one step."""
    acme, tenant = people.acme.actor, people.tenant("acme")
    wish = Wish(config=world.config_id, count=1)
    made = create_entitlements(acme, wish, tenant=tenant).operation
    plan = Plan(
        kind=Operation.Kind.CREATE_VM,
        tenant_id=tenant.id,
        api_user_id=world.api_user.id,
        program_serial=PROGRAM,
        account_id=ACCOUNT,
        config_id=world.config_id,
        intent=made.intent,
        neighbours=(tenant, world.api_user, None),
    )
    draft = draft_operation(acme, plan, manner=Manner())
    assert move() == "second"
    with pytest.raises(Problem) as raised:
        carry_out_draft(draft, Manner())
    assert (raised.value.code, open_ones()) == ("in_progress", [])
    assert len(world.calls_of("entitlements/vm/create")) == 1


@pytest.mark.parametrize("fault", [None, "cut"])
def test_neither_end_of_an_open_transfer_is_moved(people: People, world: SandboxWorld, fault: str | None) -> None:
    other = ACCOUNT + 1
    world.sandbox.add_account(other)
    target = world.sandbox.create_config(
        program=PROGRAM, name="x", product_type_id=1, parameters=ENT_2, account_id=other
    )
    world.sync()
    acme, tenant = people.acme.actor, people.tenant("acme")
    made = create_entitlements(acme, Wish(config=world.config_id, count=1), tenant=tenant)
    if fault is not None:
        world.sandbox.plan_fault("entitlements/transfer", "cut", when="after")
    transfer_entitlements(
        SETUP,
        serials=made.operation.serial_numbers,
        target_account=other,
        target_config=int(target["id"]),
        manner=Manner(wait_seconds=0 if fault is None else 20),
    )
    for account in (ACCOUNT, other):
        with pytest.raises(Problem, match="not known yet") as refused:
            enter_account(SETUP, program_serial=PROGRAM, account_id=account, api_user="second")
        assert refused.value.code == "in_progress"
