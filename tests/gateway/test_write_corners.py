"""What an attack on the writes found: second halves that were lost, quotas that were passed, budgets that one tenant used up for all."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, connections

from gateway.credentials import ApiUserFields, read_password, save_api_user
from gateway.days import today
from gateway.gate import Asker, Standing, take_turn
from gateway.models import ApiUser, Config, Operation, UpstreamCall
from gateway.provisioning.draining import drain_queue
from gateway.reconciliation import reconcile_operations
from tenants import clock
from tenants.context import acting_as
from tenants.models import Tenant
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People, make_client, make_people
from tests.worlds import ACCOUNT, ENT_2, PROGRAM, SandboxWorld, make_world

FORTIGATE = [(27, "FGT60F"), (28, "FGHWUTP"), (29, "NONE")]
DEVICE = "FGT60FTK20000001"
BIGGER = {"parameters": [{"id": 1, "value": "16"}]}


@pytest.fixture
def config(people: People, world: SandboxWorld) -> int:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    return world.config_id


def outcomes() -> list[tuple[str, str, str | None]]:
    with acting_as(SETUP):
        return [(row.kind, row.state, (row.error or {}).get("code")) for row in Operation.objects.order_by("id")]


def limit(slug: str, **limits: Any) -> None:
    with acting_as(SETUP):
        Tenant.objects.filter(slug=slug).update(limits=limits)


def make_vm(people: People, config: int, **more: Any) -> str:
    answer = people.acme.post("entitlements", {"config": config, "skip_pending": True, **more})
    assert answer.status_code == 201, answer.content
    return str(answer.json()["entitlements"][0]["serial_number"])


def offer_hardware(people: People, world: SandboxWorld) -> int:
    config = world.add_config("hw", FORTIGATE, product_type_id=101)
    world.sync()
    people.operator.post(f"configs/{config}/offers", {"tenant": "acme"})
    return config


def let_time_pass() -> None:
    for seconds in (200, 400, 4000):
        with time_machine.travel(clock.now() + timedelta(seconds=seconds), tick=True):
            reconcile_operations(everything=True)


def test_a_repeated_resize_makes_one_config(people: People, world: SandboxWorld, config: int) -> None:
    serial, _ = make_vm(people, config), make_vm(people, config)
    world.sandbox.plan_fault("configs/create", "cut", when="after")
    first = people.acme.patch(f"entitlements/{serial}", BIGGER)
    again = people.acme.patch(f"entitlements/{serial}", BIGGER)
    assert (first.status_code, again.status_code, again.json()["code"]) == (202, 409, "in_progress")
    assert len(world.calls_of("configs/create")) == 1


def test_a_transfer_says_when_its_second_half_was_not_done(people: People, world: SandboxWorld, config: int) -> None:
    other = ACCOUNT + 1
    world.sandbox.add_account(other)
    world.sandbox.create_config(
        program=PROGRAM, name="x", product_type_id=2, parameters=[(30, "5"), (9, "1")], account_id=other
    )
    world.sync()
    serial = make_vm(people, config)
    world.sandbox.plan_fault("entitlements/transfer", "refuse")
    answers = [
        people.acme.post(f"entitlements/{serial}/transfer", {"account_id": other}, Idempotency_Key="move")
        for _ in range(2)
    ]
    assert all(answer.status_code != 200 for answer in answers), "it stands where it stood"
    let_time_pass()  # nobody waits for it, and nothing was wrong with it
    assert people.acme.get(f"entitlements/{serial}").json()["account_id"] == other


def test_an_end_date_is_put_back_though_the_first_try_met_a_closed_door(
    people: People, world: SandboxWorld, config: int
) -> None:
    serial = make_vm(people, config)
    day = (today() + timedelta(days=30)).isoformat()
    people.acme.patch(f"entitlements/{serial}", {"end_date": day})
    people.acme.post(f"entitlements/{serial}/stop")
    world.sandbox.plan_fault("entitlements/update", "refuse")
    people.acme.post(f"entitlements/{serial}/reactivate")
    let_time_pass()
    assert people.acme.get(f"entitlements/{serial}").json()["end_date"] == day


def test_an_end_date_of_the_owner_before_is_not_put_back(people: People, world: SandboxWorld, config: int) -> None:
    serial = make_vm(people, config)
    people.acme.patch(f"entitlements/{serial}", {"end_date": (today() + timedelta(days=30)).isoformat()})
    people.acme.post(f"entitlements/{serial}/stop")
    give([serial], "globex", today())
    people.globex.post(f"entitlements/{serial}/reactivate")
    program_end = people.operator.get(f"programs/{PROGRAM}").json()["end_date"]
    assert people.globex.get(f"entitlements/{serial}").json()["end_date"] == program_end


def test_hardware_gets_its_text_after_a_full_minute(people: People, world: SandboxWorld) -> None:
    config = offer_hardware(people, world)
    world.sandbox.plan_fault("entitlements/update", "http_429")
    body = {"config": config, "serial_numbers": [DEVICE], "description": "mine"}
    assert people.acme.post("entitlements", body).status_code == 201
    let_time_pass()
    assert world.sandbox.entitlements()[0]["description"].startswith("mine [fxg:acme:")


def test_what_a_person_adopted_gets_its_text_too(people: People, world: SandboxWorld) -> None:
    config = offer_hardware(people, world)
    world.sandbox.plan_fault("entitlements/hardware/create", "cut", when="after")
    body = {"config": config, "serial_numbers": [DEVICE], "description": "mine"}
    operation = people.acme.post("entitlements", body).json()["operation"]["id"]
    world.sync()
    word = {"done": True, "reason": "seen", "entitlements": [DEVICE]}
    assert people.operator.post(f"operations/{operation}/resolve", word).status_code == 200
    let_time_pass()
    assert world.sandbox.entitlements()[0]["description"].startswith("mine [fxg:acme:")


def test_what_nobody_waits_for_stays_in_the_queue_when_fortiflex_takes_no_more(
    people: People, world: SandboxWorld, config: int
) -> None:
    people.acme.post("entitlements", {"config": config}, Prefer="respond-async")
    world.sandbox.plan_fault("entitlements/vm/create", "http_429")
    drain_queue(world.api_user, seconds=3, wait_seconds=1)
    assert outcomes() == [("create_vm", "planned", None)]
    let_time_pass()
    assert outcomes() == [("create_vm", "succeeded", None)]
    assert len(world.sandbox.entitlements()) == 1


def test_a_quota_is_not_passed_by_stopping_creating_and_reactivating(
    people: People, world: SandboxWorld, config: int
) -> None:
    limit("acme", entitlements=1)
    first = make_vm(people, config)
    people.acme.post(f"entitlements/{first}/stop")
    make_vm(people, config)
    answer = people.acme.post(f"entitlements/{first}/reactivate")
    assert (answer.status_code, answer.json()["code"]) == (409, "quota_exceeded")


def test_a_quota_of_points_is_not_passed_by_resizing(people: People, world: SandboxWorld, config: int) -> None:
    limit("acme", points_per_day="7")
    serial = make_vm(people, config)
    answer = people.acme.patch(f"entitlements/{serial}", BIGGER)
    assert (answer.status_code, answer.json()["code"]) == (409, "quota_exceeded")
    assert world.calls_of("configs/create") == []


def test_a_quota_of_points_is_not_passed_by_another_config_or_another_size_of_its_own(
    people: People, world: SandboxWorld
) -> None:
    small, big = world.add_config("small", ENT_2), world.add_config("big", [(1, "16"), (2, "ENT")])
    world.sync()
    for config in (small, big):
        world.give_config(config, "acme")
    limit("acme", points_per_day="13")
    first, second = make_vm(people, small), make_vm(people, small)
    attempts: list[tuple[str, dict[str, Any]]] = [
        (f"entitlements/{first}", {"config": big}),
        (f"entitlements/{first}", BIGGER),
        (f"configs/{small}", BIGGER),
    ]
    for path, body in attempts:
        answer = people.acme.patch(path, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "quota_exceeded"), path
    assert world.calls_of("entitlements/update") == world.calls_of("configs/update") == []
    assert people.acme.post(f"entitlements/{second}/stop").status_code == 200
    # One is left to run: what stands under no entitlement costs nothing, and what has ended nothing either.
    assert people.acme.patch(f"configs/{big}", {"parameters": [{"id": 1, "value": "96"}]}).status_code == 200
    assert people.acme.patch(f"entitlements/{second}", {"config": big}).status_code == 200
    assert people.acme.post(f"entitlements/{second}/reactivate").json()["code"] == "quota_exceeded"
    assert people.acme.patch(f"configs/{small}", {"parameters": [{"id": 1, "value": "4"}]}).status_code == 200


def test_a_quota_of_points_holds_while_the_points_are_unknown(people: People, world: SandboxWorld, config: int) -> None:
    limit("acme", points_per_day="1")
    world.sandbox.plan_fault("tools/calc", "refuse")
    answer = people.acme.post("entitlements", {"config": config, "count": 50})
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
    assert outcomes() == []


def test_a_tenants_refused_prices_are_its_own_errors(people: People, world: SandboxWorld, settings: Any) -> None:
    settings.FLEXGATE_ERRORS_PER_TENANT = 2
    with acting_as(SETUP):
        ApiUser.objects.update(errors_per_hour=9)
    configs = [world.add_config(f"c{n}", ENT_2) for n in range(5)]
    world.sync()
    for config in configs:
        people.operator.post(f"configs/{config}/offers", {"tenant": "acme"})
    with acting_as(SETUP):
        # Parameters that FortiFlex does not take any more: every price that is asked for is refused.
        Config.objects.filter(id__in=configs).update(parameters=[{"id": 1, "value": "97"}, {"id": 2, "value": "GONE"}])
    for config in configs:
        people.acme.post("entitlements", {"config": config})
    with acting_as(SETUP):
        refused = UpstreamCall.objects.filter(path="tools/calc", failed=True)
        assert set(refused.values_list("tenant__slug", flat=True)) == {"acme"}
        assert refused.count() == 2


def test_resizing_one_leaves_what_is_on_its_way_under_the_same_config(people: People, world: SandboxWorld) -> None:
    mine = world.add_config("mine", ENT_2)
    world.sync()
    world.give_config(mine, "acme")
    serial = make_vm(people, mine)
    people.acme.post("entitlements", {"config": mine, "count": 3}, Prefer="respond-async")
    assert people.acme.patch(f"entitlements/{serial}", BIGGER).status_code == 200
    drain_queue(world.api_user, seconds=20)
    sizes = {row["id"]: row["parameters"] for row in people.acme.get("configs").json()["results"]}
    rows = people.acme.get("entitlements").json()["results"]
    assert sum({"id": 1, "value": "16"} in sizes[row["config"]] for row in rows) == 1
    assert len(rows) == 4


def test_who_may_stop_may_call_its_stop_back(people: People, world: SandboxWorld, config: int) -> None:
    serial = make_vm(people, config)
    switch = make_client(slug="acme", scopes=["entitlements:switch", "operations:read"])
    planned = switch.post(f"entitlements/{serial}/stop", Prefer="respond-async").json()["operation"]["id"]
    assert switch.post(f"operations/{planned}/cancel").status_code == 200


def test_a_password_that_can_not_be_read_is_no_fault_of_the_caller(
    people: People, world: SandboxWorld, config: int
) -> None:
    from gateway.access_tokens import forget_token

    forget_token(world.api_user)
    with acting_as(SETUP):
        ApiUser.objects.update(password_encrypted="99:garbage")
    answer = people.acme.post("entitlements", {"config": config})
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")


def test_a_lane_whose_claim_waited_is_still_held_for_the_whole_call(own_database: object) -> None:
    make_people()
    world = make_world(sync=False)

    def slow() -> bool:
        traveller.shift(timedelta(seconds=60))
        return True

    with time_machine.travel(clock.now(), tick=True) as traveller:
        asker = Asker(Standing.PEOPLE)
        with take_turn(world.api_user, asker, wait_seconds=0, call_seconds=5, writes=False, claim=slow) as turn:
            assert turn is not None
            assert turn.lease_ends > clock.now() + timedelta(seconds=5)


def test_a_claim_does_not_wait_for_what_others_change(own_database: object) -> None:
    """A long assignment holds rows; the lane is everybody's and no place to wait for them."""
    people = make_people()
    world = make_world()
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    serial = make_vm(people, world.config_id)
    operation = people.acme.post(f"entitlements/{serial}/stop", Prefer="respond-async").json()["operation"]["id"]
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        from gateway.models import Entitlement

        with acting_as(SETUP):
            Entitlement.objects.select_for_update().get(serial_number=serial)
            held.set()
            done.wait(30)
        connections.close_all()

    other = threading.Thread(target=hold)
    other.start()
    held.wait(10)
    drain_queue(world.api_user, seconds=3, wait_seconds=1)
    assert [state for _, state, _ in outcomes()] == ["succeeded", "planned"]
    made = people.acme.post("entitlements", {"config": world.config_id})
    assert made.status_code == 201, "another write waited behind the held row"
    done.set()
    other.join()
    drain_queue(world.api_user, seconds=5)
    assert people.acme.get(f"operations/{operation}").json()["state"] == "succeeded"


def test_a_limit_that_is_saved_late_does_not_bring_an_old_password_back(
    people: People, world: SandboxWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway import credentials

    world.sandbox.world.api_users[0].password = "new"
    store, once = credentials._store, list[bool]()

    def store_late(*args: Any, **more: Any) -> None:
        if not more["changed_password"] and not once:
            once.append(True)
            save_api_user(SETUP, name="main", fields=ApiUserFields(password="new"))
        store(*args, **more)

    monkeypatch.setattr(credentials, "_store", store_late)
    save_api_user(SETUP, name="main", fields=ApiUserFields(per_minute=50))
    with acting_as(SETUP):
        row = ApiUser.objects.get(name="main")
    assert (read_password(row), row.per_minute) == ("new", 50)


def test_hardware_gets_its_text_though_the_first_try_was_lost(people: People, world: SandboxWorld) -> None:
    config = offer_hardware(people, world)
    world.sandbox.plan_fault("entitlements/update", "cut")
    body = {"config": config, "serial_numbers": [DEVICE], "description": "mine"}
    assert people.acme.post("entitlements", body).status_code == 201
    let_time_pass()
    assert world.sandbox.entitlements()[0]["description"].startswith("mine [fxg:acme:")


def test_a_tenant_can_not_call_back_what_tags_its_device(people: People, world: SandboxWorld) -> None:
    config = offer_hardware(people, world)
    world.sandbox.plan_fault("entitlements/update", "http_429")
    people.acme.post("entitlements", {"config": config, "serial_numbers": [DEVICE], "description": "mine"})
    [waiting] = people.acme.get("operations?state=planned").json()["results"]
    assert people.acme.post(f"operations/{waiting['id']}/cancel").json()["code"] == "state_conflict"
    assert people.operator.post(f"operations/{waiting['id']}/cancel").status_code == 200


def test_an_end_date_is_put_back_though_the_first_try_was_lost(
    people: People, world: SandboxWorld, config: int
) -> None:
    serial = make_vm(people, config)
    day = (today() + timedelta(days=30)).isoformat()
    people.acme.patch(f"entitlements/{serial}", {"end_date": day})
    people.acme.post(f"entitlements/{serial}/stop")
    world.sandbox.plan_fault("entitlements/update", "cut")
    people.acme.post(f"entitlements/{serial}/reactivate")
    let_time_pass()
    assert people.acme.get(f"entitlements/{serial}").json()["end_date"] == day


def test_a_second_half_that_is_lost_again_and_again_ends_as_not_done(
    people: People, world: SandboxWorld, config: int
) -> None:
    """Each time it was proven that nothing was done; still, what never works is told some time."""
    serial, _ = make_vm(people, config), make_vm(people, config)
    world.sandbox.plan_fault("entitlements/update", "cut", times=50)
    people.acme.patch(f"entitlements/{serial}", BIGGER)
    for hours in range(1, 20):
        with time_machine.travel(clock.now() + timedelta(hours=hours), tick=True):
            reconcile_operations(everything=True)
    assert outcomes()[-1] == ("update_entitlement", "failed", "not_done")
    assert len(world.calls_of("entitlements/update")) == 5


def test_an_end_date_from_an_earlier_time_of_ownership_is_not_put_back(
    people: People, world: SandboxWorld, config: int
) -> None:
    serial = make_vm(people, config)
    early, late = ((today() + timedelta(days=days)).isoformat() for days in (30, 60))
    people.acme.patch(f"entitlements/{serial}", {"end_date": early})
    people.acme.post(f"entitlements/{serial}/stop")
    people.acme.post(f"entitlements/{serial}/reactivate")
    people.acme.patch(f"entitlements/{serial}", {"end_date": late})
    give([serial], "globex", today())
    people.globex.post(f"entitlements/{serial}/stop")
    give([serial], "acme", today())
    people.acme.post(f"entitlements/{serial}/reactivate")
    program_end = people.operator.get(f"programs/{PROGRAM}").json()["end_date"]
    assert people.acme.get(f"entitlements/{serial}").json()["end_date"] == program_end


def test_an_end_date_is_put_back_after_a_person_said_that_it_was_reactivated(
    people: People, world: SandboxWorld, config: int
) -> None:
    serial = make_vm(people, config)
    day = (today() + timedelta(days=30)).isoformat()
    people.acme.patch(f"entitlements/{serial}", {"end_date": day})
    people.acme.post(f"entitlements/{serial}/stop")
    world.sandbox.plan_fault("entitlements/reactivate", "cut", when="after")
    operation = people.acme.post(f"entitlements/{serial}/reactivate").json()["operation"]["id"]
    people.operator.post(f"operations/{operation}/resolve", {"done": True, "reason": "seen"})
    world.sync()
    let_time_pass()
    assert people.acme.get(f"entitlements/{serial}").json()["end_date"] == day


def test_a_config_that_a_person_saw_is_its_tenants_and_what_was_asked_with_it_follows(
    people: People, world: SandboxWorld, config: int
) -> None:
    serial, _ = make_vm(people, config), make_vm(people, config)
    world.sandbox.plan_fault("configs/create", "cut", when="after")
    operation = people.acme.patch(f"entitlements/{serial}", BIGGER).json()["operation"]["id"]
    world.sync()
    word = {"done": True, "reason": "seen"}
    assert people.operator.post(f"operations/{operation}/resolve", word).status_code == 200
    let_time_pass()
    [made] = [row for row in people.acme.get("configs").json()["results"] if row["tenant"] == "acme"]
    assert people.acme.get(f"entitlements/{serial}").json()["config"] == made["id"]


def test_what_fortiflex_does_not_list_yet_was_not_removed(people: People, world: SandboxWorld) -> None:
    config = offer_hardware(people, world)
    world.sandbox.delay_appearance(90)
    people.acme.post("entitlements", {"config": config, "serial_numbers": [DEVICE]})
    world.sandbox.plan_fault("entitlements/hardware/remove", "cut")
    assert people.acme.post(f"entitlements/{DEVICE}/remove").status_code == 202
    reconcile_operations(everything=True)
    let_time_pass()
    assert outcomes()[-1] == ("remove_hardware", "failed", "not_done")
    assert [row["serialNumber"] for row in world.sandbox.entitlements()] == [DEVICE]


def test_of_what_is_not_listed_at_all_nobody_says_that_its_change_was_not_done(
    people: People, world: SandboxWorld, config: int
) -> None:
    world.sandbox.delay_appearance(100_000)
    serial = make_vm(people, config)
    world.sandbox.plan_fault("entitlements/stop", "cut", when="after")
    people.acme.post(f"entitlements/{serial}/stop")
    let_time_pass()
    assert outcomes()[-1] == ("stop", "unknown", None)


def test_of_what_is_not_listed_at_all_nobody_says_that_it_was_not_transferred(
    people: People, world: SandboxWorld, config: int
) -> None:
    other = ACCOUNT + 1
    world.sandbox.add_account(other)
    world.sandbox.create_config(program=PROGRAM, name="x", product_type_id=1, parameters=ENT_2, account_id=other)
    world.sync()
    world.sandbox.delay_appearance(100_000)
    serial = make_vm(people, config)
    world.sandbox.plan_fault("entitlements/transfer", "cut", when="after")
    people.acme.post(f"entitlements/{serial}/transfer", {"account_id": other})
    let_time_pass()
    assert outcomes()[-1] == ("transfer", "unknown", None)


def test_a_pass_goes_on_where_a_write_stores_the_same_new_one_at_the_same_moment(own_database: object) -> None:
    people = make_people()
    world = make_world()
    serial = make_lost_vm(people, world)
    with MeanwhileOnce(lambda: reconcile_operations(everything=True)):
        report = world.sync()
    assert report.complete
    assert people.acme.get(f"entitlements/{serial}").status_code == 200


def test_reconciliation_goes_on_where_a_pass_stores_the_same_new_one_at_the_same_moment(own_database: object) -> None:
    people = make_people()
    world = make_world()
    serial = make_lost_vm(people, world)
    with MeanwhileOnce(world.sync):
        [settled] = reconcile_operations(everything=True).settled
    assert (settled.state, settled.serial_numbers) == ("succeeded", [serial])
    assert people.acme.get(f"entitlements/{serial}").status_code == 200


def make_lost_vm(people: People, world: SandboxWorld) -> str:
    """One that was made, and its answer was lost."""
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="after")
    assert people.acme.post("entitlements", {"config": world.config_id}).status_code == 202
    return str(world.sandbox.entitlements()[0]["serialNumber"])


class MeanwhileOnce:
    """Lets something happen in another thread right before a new entitlement is inserted."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work: Callable[[], Any] | None = work

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        work = self._work
        if work is not None and sql.startswith('INSERT INTO "gateway_entitlement" '):
            self._work = None
            self._other = threading.Thread(target=self._do, args=[work])
            self._other.start()
            self._other.join(2)  # it may wait in its turn, for what this one holds
        return execute(sql, params, many, context)

    def _do(self, work: Callable[[], Any]) -> None:
        work()
        connections.close_all()

    def __enter__(self) -> None:
        self._around = connection.execute_wrapper(self)
        self._around.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._around.__exit__(*error)
        self._other.join(30)
