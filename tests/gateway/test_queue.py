"""The queue before the lane: who goes first, who is passed over, and what FortiFlex's silence closes."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from gateway.days import today
from gateway.fortiflex.errors import OutcomeUnknown
from gateway.gate import Asker, GateClosed, Standing, Why, take_turn
from gateway.gate.limits import Counts, count_calls, full_window, limits_of
from gateway.gate.records import CallRecord
from gateway.models import ApiUser, Operation, UpstreamCall, UpstreamLane, UpstreamTurn
from gateway.provisioning.draining import drain_queue
from gateway.upstream import client_for
from tenants import clock, ids
from tenants.context import acting_as
from tests.databases import OwnDatabase
from tests.people import SETUP, People, make_people
from tests.worlds import SandboxWorld, make_world


@pytest.fixture
def crowd(own_database: OwnDatabase) -> People:
    return make_people()


@pytest.fixture
def place(crowd: People) -> SandboxWorld:
    return make_world()


def serve_in_order(place: SandboxWorld, askers: list[tuple[str, Asker]]) -> list[str]:
    """The names of those that asked one after another while the lane was held, in the order in which they got it."""
    served: list[str] = []

    def wait_for_it(name: str, asker: Asker) -> None:
        try:
            with take_turn(place.api_user, asker, wait_seconds=20, call_seconds=5, writes=False) as turn:
                served.append(name)
                assert turn is not None
                turn.record(CallRecord("programs/list", "ok", False, 200, 1))
        finally:
            connections.close_all()

    with (
        ThreadPoolExecutor(len(askers)) as pool,
        take_turn(place.api_user, Asker(Standing.PEOPLE), wait_seconds=5, call_seconds=30, writes=False),
    ):
        for number, (name, asker) in enumerate(askers, start=1):
            pool.submit(wait_for_it, name, asker)
            wait_until_waiting(number)
    return served


def wait_until_waiting(number: int) -> None:
    for _ in range(400):
        with acting_as(SETUP):
            if UpstreamTurn.objects.count() >= number:
                return
        time.sleep(0.01)
    raise AssertionError("they never stood in line")


def test_people_go_before_reconciliation_and_that_before_background(place: SandboxWorld) -> None:
    askers = [("sync", Asker(Standing.BACKGROUND)), ("look", Asker(Standing.RECONCILIATION))]
    askers += [("person", Asker(Standing.PEOPLE))]
    assert serve_in_order(place, askers) == ["person", "look", "sync"]


def test_a_tenant_that_floods_is_served_in_turn_with_one_that_comes_last(place: SandboxWorld) -> None:
    acme, globex = People.tenant("acme").id, People.tenant("globex").id
    flood = [(f"acme {n}", Asker(Standing.PEOPLE, acme)) for n in range(6)]
    order = serve_in_order(place, [*flood, ("globex", Asker(Standing.PEOPLE, globex))])
    assert order.index("globex") <= 1, order
    assert [name for name in order if name != "globex"] == [f"acme {n}" for n in range(6)]


def test_one_that_died_while_it_waited_is_passed_over(place: SandboxWorld) -> None:
    with acting_as(SETUP):
        UpstreamTurn.objects.create(
            api_user=place.api_user, standing=0, alive_until=clock.now() + timedelta(seconds=0.5)
        )
    started = time.monotonic()
    with take_turn(place.api_user, Asker(Standing.PEOPLE), wait_seconds=10, call_seconds=5, writes=False):
        assert 0.2 < time.monotonic() - started < 8
    with acting_as(SETUP):
        assert UpstreamTurn.objects.filter(alive_until__gt=clock.now()).count() == 0


def test_who_gives_up_waits_no_longer(place: SandboxWorld) -> None:
    with take_turn(place.api_user, Asker(Standing.PEOPLE), wait_seconds=5, call_seconds=30, writes=False):
        with pytest.raises(GateClosed) as caught, ThreadPoolExecutor(1) as pool:
            pool.submit(give_up, place).result()
        assert caught.value.why is Why.QUEUE
        with acting_as(SETUP):
            assert not UpstreamTurn.objects.exists()


def give_up(place: SandboxWorld) -> None:
    try:
        with take_turn(place.api_user, Asker(Standing.PEOPLE), wait_seconds=0.3, call_seconds=5, writes=False):
            raise AssertionError("the lane was held")
    finally:
        connections.close_all()


def test_background_leaves_calls_for_people_and_people_some_for_reconciliation() -> None:
    api_user = ApiUser(per_minute=90, per_hour=900, errors_per_hour=9)
    assert limits_of(api_user, Standing.BACKGROUND) == {"minute": 54, "hour": 540, "errors": 5}
    assert limits_of(api_user, Standing.PEOPLE) == {"minute": 81, "hour": 810, "errors": 8}
    assert limits_of(api_user, Standing.RECONCILIATION) == {"minute": 90, "hour": 900, "errors": 9}


def test_a_person_is_let_in_where_background_work_has_used_up_its_part(place: SandboxWorld) -> None:
    with acting_as(SETUP):
        now = clock.now()
        UpstreamCall.objects.bulk_create(
            UpstreamCall(api_user=place.api_user, at=now, milliseconds=1) for _ in range(54)
        )
        ApiUser.objects.update(per_minute=90)
        api_user = ApiUser.objects.get()
        counts = Counts(minute=54, hour=54, errors=0)
        assert full_window(api_user, counts, Standing.BACKGROUND, now) is not None
    with pytest.raises(GateClosed, match="calls a minute"):
        client_for(api_user, wait_seconds=0).list_programs()
    assert client_for(api_user, interactive=True, wait_seconds=0).list_programs().value


def plan_stops(people: People, place: SandboxWorld, number: int, slug: str, who: Any) -> list[str]:
    """So many writes that wait for the worker; their operations' ids."""
    from tests.gateway.ledger.scenes import give

    serials = place.sandbox.create_vm(place.config_id, count=number, skipPending=True)
    place.sync()
    give(serials, slug, today())
    made = [who.post(f"entitlements/{serial}/stop", Prefer="respond-async").json()["operation"] for serial in serials]
    assert {row["state"] for row in made} == {"planned"}
    assert [row["position"] for row in made] == list(range(1, number + 1))
    return [row["id"] for row in made]


def test_the_worker_drains_a_flood_and_a_single_write_fairly(crowd: People, place: SandboxWorld) -> None:
    flood = plan_stops(crowd, place, 8, "acme", crowd.acme)
    single = plan_stops(crowd, place, 1, "globex", crowd.globex)
    sent = [str(operation_id) for operation_id in drain_queue(place.api_user, seconds=30)]
    assert sent.index(single[0]) <= 1, "a tenant's one write waited behind another's flood"
    assert [one for one in sent if one not in single] == flood
    with acting_as(SETUP):
        assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}


def test_a_write_that_comes_while_the_worker_waits_is_not_behind_the_flood(crowd: People, place: SandboxWorld) -> None:
    flood = plan_stops(crowd, place, 5, "acme", crowd.acme)
    with take_turn(
        place.api_user,
        Asker(Standing.PEOPLE, People.tenant("acme").id),
        wait_seconds=5,
        call_seconds=30,
        writes=False,
    ) as turn:
        assert turn is not None
        turn.record(CallRecord("programs/list", "ok", False, 200, 1))
        drained: list[Any] = []

        def drain() -> None:
            try:
                drained.extend(drain_queue(place.api_user, seconds=30))
            finally:
                connections.close_all()

        worker = threading.Thread(target=drain)
        worker.start()
        wait_until_waiting(1)
        single = plan_without_sync(crowd, place)
    worker.join()
    assert [str(one) for one in drained].index(single) == 0
    assert len(drained) == len(flood) + 1


def plan_without_sync(people: People, place: SandboxWorld) -> str:
    people.operator.post(f"configs/{place.config_id}/offers", {"tenant": "globex"})
    answer = people.globex.post("entitlements", {"config": place.config_id, "count": 1}, Prefer="respond-async")
    return str(answer.json()["operation"]["id"])


def test_fortiflexs_silence_closes_the_gate_reads_go_on_and_a_read_opens_it(crowd: People, place: SandboxWorld) -> None:
    crowd.operator.post(f"configs/{place.config_id}/offers", {"tenant": "acme"})
    assert crowd.acme.post("entitlements", {"config": place.config_id, "count": 1}).status_code == 201
    for _ in range(5):
        place.sandbox.plan_fault("programs/list", "http_500")
        with pytest.raises(OutcomeUnknown):
            client_for(place.api_user, interactive=True, wait_seconds=0).list_programs()
    calls = len(place.sandbox.calls)
    refused = crowd.acme.post("entitlements", {"config": place.config_id, "count": 1})
    assert (refused.status_code, refused.json()["code"]) == (503, "upstream_unavailable")
    assert 1 <= int(refused["Retry-After"]) <= 31
    queued = crowd.acme.post("entitlements", {"config": place.config_id, "count": 1}, Prefer="respond-async")
    assert (queued.status_code, queued.json()["operation"]["state"]) == (202, "planned")
    assert crowd.acme.get("entitlements").status_code == 200
    assert drain_queue(place.api_user, seconds=5) == []
    assert len(place.sandbox.calls) == calls, "FortiFlex was asked although it does not answer"
    with acting_as(SETUP):
        UpstreamLane.objects.update(closed_until=clock.now())
    place.sandbox.plan_fault(
        "programs/list", "http_500"
    )  # the probe fails too: a write into this would have ended unknown
    refused = crowd.acme.post("entitlements", {"config": place.config_id, "count": 1})
    assert refused.json()["code"] == "upstream_unavailable"
    assert len(place.calls_of("entitlements/vm/create")) == 1
    with acting_as(SETUP):
        assert UpstreamLane.objects.get().closed_until > clock.now() + timedelta(seconds=45), "it stays shut for longer"
        UpstreamLane.objects.update(closed_until=clock.now())
    assert len(drain_queue(place.api_user, seconds=5)) == 1
    with acting_as(SETUP):
        assert UpstreamLane.objects.get().failures == 0
        assert list(Operation.objects.order_by("id").values_list("state", flat=True)) == [
            "succeeded",
            "failed",
            "succeeded",
            "failed",
        ]


def test_a_call_counts_from_before_it_is_made(place: SandboxWorld) -> None:
    """A process that dies under way has used up its call, whatever became of it."""
    with acting_as(SETUP):
        UpstreamCall.objects.all().delete()
    with (
        take_turn(place.api_user, Asker(Standing.PEOPLE), wait_seconds=0, call_seconds=5, writes=False),
        acting_as(SETUP),
    ):
        assert UpstreamCall.objects.filter(at__gt=clock.now()).count() == 1
    with acting_as(SETUP):
        assert not UpstreamCall.objects.exists(), "nothing was made, so nothing counts"


def test_a_tenants_refused_writes_use_up_its_own_share_alone(crowd: People, place: SandboxWorld, settings: Any) -> None:
    settings.FLEXGATE_ERRORS_PER_TENANT = 2
    hardware = place.add_config("hw", [(27, "FGT60F"), (28, "FGHWUTP"), (29, "NONE")], product_type_id=101)
    place.sync()
    with acting_as(SETUP):
        ApiUser.objects.update(errors_per_hour=9)
    for slug in ("acme", "globex"):
        for config in (hardware, place.config_id):
            crowd.operator.post(f"configs/{config}/offers", {"tenant": slug})
    place.sandbox.settings.errors_per_hour = 10
    place.sandbox.call(
        "entitlements/hardware/create", configId=hardware, serialNumbers=[f"FGT60FTK200000{n:02}" for n in range(10)]
    )
    bad = [{"config": hardware, "serial_numbers": [f"FGT60FTK200000{n:02}"]} for n in range(10)]
    answers = [crowd.acme.post("entitlements", body) for body in bad]
    assert [answer.status_code for answer in answers] == [409, 409] + [429] * 8
    assert answers[2].json()["code"] == "rate_limited"
    assert 3500 <= int(answers[2]["Retry-After"]) <= 3601
    assert len(place.calls_of("entitlements/hardware/create")) == 2
    assert crowd.globex.post("entitlements", {"config": place.config_id, "count": 1}).status_code == 201
    assert crowd.acme.get("entitlements").status_code == 200


def test_the_share_holds_for_requests_that_come_at_once(crowd: People, place: SandboxWorld, settings: Any) -> None:
    """All were planned before the first refusal: the share is looked at again when the lane is theirs."""
    settings.FLEXGATE_ERRORS_PER_TENANT = 2
    hardware = place.add_config("hw", [(27, "FGT60F"), (28, "FGHWUTP"), (29, "NONE")], product_type_id=101)
    place.sync()
    crowd.operator.post(f"configs/{hardware}/offers", {"tenant": "acme"})
    place.sandbox.call(
        "entitlements/hardware/create", configId=hardware, serialNumbers=[f"FGT60FTK200000{n:02}" for n in range(6)]
    )
    key = ids.new_id().hex
    for n in range(6):
        body = {"config": hardware, "serial_numbers": [f"FGT60FTK200000{n:02}"]}
        assert (
            crowd.acme.post("entitlements", body, Prefer="respond-async", Idempotency_Key=f"{key}{n}").status_code
            == 202
        )
    drain_queue(place.api_user, seconds=20)
    assert len(place.calls_of("entitlements/hardware/create")) == 2
    with acting_as(SETUP):
        codes = [row.error["code"] for row in Operation.objects.order_by("id")]
    assert codes == ["not_available"] * 2 + ["rate_limited"] * 4


def test_a_full_queue_takes_no_more_and_says_when(crowd: People, place: SandboxWorld, settings: Any) -> None:
    settings.FLEXGATE_QUEUE_PER_TENANT, settings.FLEXGATE_QUEUE = 2, 3
    for slug in ("acme", "globex"):
        crowd.operator.post(f"configs/{place.config_id}/offers", {"tenant": slug})
    body = {"config": place.config_id, "count": 1}
    later = {"Prefer": "respond-async"}
    answers = [crowd.acme.post("entitlements", body, **later) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[2].json()["code"] == "rate_limited"
    answers = [crowd.globex.post("entitlements", body, **later) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 503]
    assert answers[1].json()["code"] == "upstream_busy"
    assert int(answers[1]["Retry-After"]) >= 1
    with acting_as(SETUP):
        assert Operation.objects.count() == 3


def test_a_call_whose_process_died_counts_as_an_error(place: SandboxWorld) -> None:
    """FortiFlex may have counted one: nine an hour are all that an API user has."""
    now = clock.now()
    with acting_as(SETUP):
        UpstreamCall.objects.all().delete()
        rows = [(now - timedelta(seconds=70), None), (now + timedelta(seconds=60), None), (now, 5)]
        UpstreamCall.objects.bulk_create(
            UpstreamCall(api_user=place.api_user, at=at, milliseconds=took) for at, took in rows
        )
        assert count_calls(place.api_user.id, now) == Counts(minute=2, hour=3, errors=1), "one is still under way"
        ApiUser.objects.update(errors_per_hour=1)
        limits = ApiUser.objects.get()
        closed = full_window(limits, count_calls(limits.id, now), Standing.RECONCILIATION, now)
        assert closed is not None
        assert 3500 < closed.seconds <= 3600 - 69
