"""A creation goes out in one step and comes back in one, where nothing is unusual; where anything is, the longer way says the same."""

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from gateway import upstream
from gateway.days import today
from gateway.gate import waiting
from gateway.ledger.fetch import Fetched
from gateway.ledger.store import store_day
from gateway.models import (
    ApiUser,
    Attempt,
    Config,
    Entitlement,
    LedgerEntry,
    Operation,
    PointsFetch,
    UpstreamCall,
    UpstreamLane,
    UpstreamTurn,
)
from gateway.provisioning import closing, senders
from gateway.provisioning.sending import send_operation
from gateway.reconciliation import reconcile_operations
from tenants import clock
from tenants.access import grant_right
from tenants.context import acting_as
from tenants.models import AuditEntry, Event, Tenant
from tests.databases import OwnDatabase
from tests.gateway.test_switched_off import During
from tests.isolation.scene import StaffClient
from tests.people import SETUP, People, make_client, make_people
from tests.worlds import ACCOUNT, PROGRAM, SandboxWorld, make_world

SOMEBODY = "01a20eeb-b054-7191-afa2-720607b3c16c"


@pytest.fixture
def people(own_database: OwnDatabase) -> People:
    return make_people()


@pytest.fixture
def world(people: People) -> SandboxWorld:
    return make_world()


@pytest.fixture
def config(people: People, world: SandboxWorld) -> int:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    assert create(people, world.config_id).status_code == 201  # logged in, priced, prepared
    return world.config_id


def create(people: People, config: int, **more: Any) -> Any:
    return people.acme.post("entitlements", {"config": config, "description": "mine", **more})


def trail(operation: str) -> dict[str, Any]:
    """What a write leaves behind, without ids and times."""
    with acting_as(SETUP):
        row = Operation.objects.get(id=operation)
        serials = row.serial_numbers
        events = Event.objects.filter(subject_key__in=[str(row.id), *serials]).order_by("type")
        audits = AuditEntry.objects.filter(subject_key__in=[str(row.id), *serials]).order_by("action")
        attempts = Attempt.objects.filter(operation=row).values_list("number", "outcome", "http_status")
        lane = UpstreamLane.objects.get()
        return {
            "row": (row.state, row.error, row.next_check_at, len(serials), row.points_per_day),
            "mirror": list(
                Entitlement.objects.filter(serial_number__in=serials).values_list(
                    "tenant__slug", "description", "labels", "folder_path", "config_id"
                )
            ),
            "events": [(event.type, event.tenant_id) for event in events],
            "audits": [(entry.action, entry.actor, entry.tenant_id) for entry in audits],
            "attempts": list(attempts),
            "lane": (lane.holder, lane.held_until, lane.failures),
            "calls": set(UpstreamCall.objects.filter(request_id=row.request_id).values_list("path", "outcome")),
            "to come": UpstreamCall.objects.filter(at__gt=clock.now()).count(),
        }


def test_a_creation_takes_four_round_trips(people: People, config: int) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert create(people, config, count=2).status_code == 201
    spoken = [query["sql"] for query in asked if query["sql"] not in {"BEGIN", "COMMIT"}]
    assert len(spoken) == 4, "token with rates, ground, lane with journal, outcome"


def test_both_ways_leave_the_same_behind(people: People, config: int, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"count": 2, "labels": {"site": "x"}, "folder_path": "My Assets/North"}
    plain = create(people, config, **body).json()
    # A key must be looked for first, so its operation is journaled by itself.
    journaled = people.acme.post("entitlements", {"config": config, "description": "mine", **body}, Idempotency_Key="k")
    monkeypatch.setattr(closing, "_close_birth", lambda *_: None)
    longer = create(people, config, **body).json()
    trails = [trail(answer["operation"]["id"]) for answer in (plain, journaled.json(), longer)]
    assert trails[0] == trails[1] == trails[2]
    assert [name for name, _ in trails[0]["events"]] == ["entitlement.assigned"] * 2 + ["operation.succeeded"]


def test_what_is_answered_is_what_is_listed(people: People, world: SandboxWorld, config: int) -> None:
    """The answer is put together from what was written, and not read again."""
    narrowed = make_client(slug="acme", scopes=["entitlements:write"], configs=[config])
    with acting_as(SETUP):
        alice = User.objects.create(username="alice", is_staff=True)
    for right in ("view", "provision"):
        grant_right(SETUP, alice, People.tenant("acme"), right)
    body = {"config": config, "count": 2, "labels": {"a": "b"}, "folder_path": "My Assets/North", "skip_pending": True}
    for who, more in (
        (people.acme, {}),
        (narrowed, {}),
        (StaffClient(alice), {"tenant": "acme"}),
        (people.operator, {"tenant": "acme"}),
        (people.operator, {"tenant": None}),
    ):
        with CaptureQueriesContext(connection) as asked:
            answer = who.post("entitlements", body | more)
        assert answer.status_code == 201, answer.content
        assert not any("WITH page AS" in query["sql"] for query in asked)
        made = answer.json()["entitlements"]
        assert len(made) == 2
        assert made == [who.get(f"entitlements/{row['serial_number']}").json() for row in made]


def hold(lane: dict[str, Any]) -> None:
    UpstreamLane.objects.update(**lane)


def fill(number: int, **more: Any) -> None:
    api_user, now = ApiUser.objects.get(), clock.now()
    UpstreamCall.objects.bulk_create(
        [UpstreamCall(api_user=api_user, at=now, milliseconds=1, **more) for _ in range(number)]
    )


def fill_hour() -> None:
    ApiUser.objects.update(per_hour=50)
    fill(50)


def queue(number: int) -> None:
    acme, api_user = Tenant.objects.get(slug="acme"), ApiUser.objects.get()
    rows = [
        Operation(kind="stop", tenant=acme, api_user=api_user, account_id=1, deferred=True, asked_by="x")
        for _ in range(number)
    ]
    Operation.objects.bulk_create(rows)


def wait_in_line() -> None:
    alive_until = clock.now() + timedelta(seconds=60)
    UpstreamTurn.objects.create(api_user=ApiUser.objects.get(), standing=0, alive_until=alive_until)


def spend_errors() -> None:
    acme = Tenant.objects.get(slug="acme")
    fill(2, failed=True, outcome="rejected", tenant=acme)


OBSTACLES: dict[str, tuple[Callable[[], None], int, str]] = {
    "held": (lambda: hold({"holder": SOMEBODY, "held_until": clock.now() + timedelta(seconds=60)}), 202, ""),
    "closed": (
        lambda: hold({"closed_until": clock.now() + timedelta(seconds=600), "closed_reason": "limits: -11"}),
        503,
        "upstream_busy",
    ),
    "wrong password": (
        lambda: hold({"closed_until": clock.now() + timedelta(seconds=600), "closed_reason": "login: refused"}),
        503,
        "upstream_unavailable",
    ),
    "others wait": (wait_in_line, 202, ""),
    "full minute": (lambda: fill(81), 503, "upstream_busy"),
    "full hour": (fill_hour, 503, "upstream_busy"),
    "errors of all": (lambda: fill(8, failed=True, outcome="rejected"), 503, "upstream_busy"),
    "errors of one's own": (spend_errors, 429, "rate_limited"),
    "full queue": (lambda: queue(200), 429, "rate_limited"),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_an_obstacle_is_never_overlooked_and_sends_nothing(
    name: str, people: People, world: SandboxWorld, config: int
) -> None:
    put, status, code = OBSTACLES[name]
    with acting_as(SETUP):
        ApiUser.objects.update(per_minute=90, per_hour=900, errors_per_hour=9)
        Tenant.objects.filter(slug="acme").update(limits={"errors_per_hour": 2})
        put()
        before = list(UpstreamLane.objects.values())
    made = len(world.calls_of("entitlements/vm/create"))
    answer = people.acme.post("entitlements", {"config": config}, Prefer="wait=1")
    assert (answer.status_code, answer.json().get("code", "")) == (status, code), answer.content
    assert len(world.calls_of("entitlements/vm/create")) == made
    with acting_as(SETUP):
        assert list(UpstreamLane.objects.values()) == before
        assert not Operation.objects.filter(kind="create_vm", state__in=["sent", "unknown"]).exists()
        assert Attempt.objects.count() == made


def test_a_silent_lane_is_asked_with_a_read_first(people: People, world: SandboxWorld, config: int) -> None:
    with acting_as(SETUP):
        hold({"failures": 5})
    assert create(people, config).status_code == 201
    assert [call.path for call in world.sandbox.calls][-2:] == ["programs/list", "entitlements/vm/create"]


def test_two_senders_of_one_operation_send_it_once(people: People, world: SandboxWorld, config: int) -> None:
    operation = people.acme.post("entitlements", {"config": config}, Prefer="respond-async").json()["operation"]["id"]
    with acting_as(SETUP):
        rows = [Operation.objects.select_related("tenant", "api_user").get(id=operation) for _ in range(2)]
    assert [send_operation(row).state for row in rows] == ["succeeded", "succeeded"]
    assert len(world.calls_of("entitlements/vm/create")) == 2


def test_a_lane_that_was_taken_is_given_back_where_sending_fails_at_once(
    people: People, world: SandboxWorld, config: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("gateway.provisioning.sending.client_for", fail)
    assert create(people, config).status_code == 500
    with acting_as(SETUP):
        assert UpstreamLane.objects.get().holder is None
        assert Operation.objects.order_by("-id")[0].state == "sent", "reconciliation finds out"


def test_what_was_doubted_meanwhile_is_not_settled_by_its_sender(
    people: People, world: SandboxWorld, config: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reconciliation called it failed while the answer was on its way: a person has to look, and nobody owns what came."""
    judge = closing._close_birth

    def settle_first(operation: Operation, *more: Any) -> Any:
        with acting_as(SETUP):
            done = {"state": "failed", "settled_at": clock.now(), "error": {"code": "not_done", "detail": "proven"}}
            Operation.objects.filter(id=operation.id).update(**done)
        return judge(operation, *more)

    monkeypatch.setattr(closing, "_close_birth", settle_first)
    with CaptureQueriesContext(connection) as asked:
        create(people, config)
    token = world.sandbox.world.entitlements[-1].token
    assert token
    assert not any(token in query["sql"] for query in asked), (
        "PostgreSQL logs what fails, and licence tokens are no matter of a log"
    )
    with acting_as(SETUP):
        row = Operation.objects.order_by("-id")[0]
        assert row.state == "failed"
        assert "late_answer_of_attempt" in row.evidence[-1]
        assert Event.objects.filter(type="reconciliation.duplicate").count() == 1
        assert Entitlement.objects.count() == 1


def test_what_the_ledger_or_the_mirror_knows_already_goes_the_longer_way(
    people: People, world: SandboxWorld, config: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass listed it between FortiFlex's answer and our storing it."""
    judge = closing._close_birth

    def list_first(*arguments: Any) -> Any:
        monkeypatch.setattr(closing, "_close_birth", judge)
        serial = world.sandbox.entitlements()[-1]["serialNumber"]
        with acting_as(SETUP):
            other = Entitlement.objects.get()
            other.pk, other.serial_number, other.tenant = serial, serial, None
            other.first_seen_at = clock.now()
            other.save(force_insert=True)
        return judge(*arguments)

    monkeypatch.setattr(closing, "_close_birth", list_first)
    answer = create(people, config)
    assert answer.status_code == 201, answer.content
    serial = answer.json()["entitlements"][0]["serial_number"]
    assert people.acme.get(f"entitlements/{serial}").json()["description"] == "mine"


def test_points_that_are_stored_already_get_their_owner(
    people: People, world: SandboxWorld, config: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day was over and pulled while the answer was on its way; the short way asks only whether any day is stored, the longer one whose."""
    judge, ways = closing._close_birth, list[bool]()

    def store_first(*arguments: Any) -> Any:
        serial = world.sandbox.entitlements()[-1]["serialNumber"]
        with acting_as(SETUP):
            row = PointsFetch.objects.create(
                api_user=ApiUser.objects.get(),
                program_serial=PROGRAM,
                account_id=ACCOUNT,
                asked_from=today(),
                asked_to=today(),
                purpose="day",
                sent_at=clock.now(),
                answered_at=clock.now(),
                outcome="answered",
                body=b"",
            )
        store_day(Fetched(row, {serial: Decimal("3.5")}), today(), certain=True)
        with acting_as(SETUP):
            assert LedgerEntry.objects.get(serial_number=serial).tenant_id is None
        sent = judge(*arguments)
        ways.append(sent is not None)
        return sent

    monkeypatch.setattr(closing, "_close_birth", store_first)
    answer = create(people, config)
    assert (answer.status_code, ways) == (201, [False]), answer.content
    serial = answer.json()["entitlements"][0]["serial_number"]
    with acting_as(SETUP):
        entry = LedgerEntry.objects.get(serial_number=serial)
        assert (entry.tenant_id, entry.points) == (People.tenant("acme").id, Decimal("3.5"))


def test_a_connection_that_is_lost_under_way_loses_no_answer(
    people: People, world: SandboxWorld, config: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = closing._close_birth

    def cut(*arguments: Any) -> Any:
        assert connection.connection is not None
        pid, other = connection.connection.info.backend_pid, connections.create_connection("default")
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        other.close()
        return judge(*arguments)

    monkeypatch.setattr(closing, "_close_birth", cut)
    answer = create(people, config)
    assert (answer.status_code, answer.json()["operation"]["state"]) == (202, "unknown"), answer.content
    with acting_as(SETUP):
        assert UpstreamLane.objects.get().holder is None
        assert Attempt.objects.order_by("-id")[0].outcome == "answered"
    monkeypatch.undo()
    reconcile_operations(everything=True)
    with acting_as(SETUP):
        assert set(Operation.objects.filter(kind="create_vm").values_list("state", flat=True)) == {"succeeded"}


def test_a_refusal_that_comes_after_the_callers_time_is_told_all_the_same(
    people: People, config: int, settings: Any
) -> None:
    settings.FLEXGATE_WAITING_THREADS = 8
    held, let_go = threading.Event(), threading.Event()

    def hold_lane() -> None:
        with acting_as(SETUP):
            list(UpstreamLane.objects.select_for_update())
            held.set()
            let_go.wait(3)
        connections.close_all()

    with acting_as(SETUP):
        queue(200)
    holder = threading.Thread(target=hold_lane)
    holder.start()
    held.wait(10)
    try:
        answer = people.acme.post("entitlements", {"config": config}, Prefer="wait=1")
    finally:
        let_go.set()
        holder.join()
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


@pytest.mark.parametrize("place", ["_senders", "trust_connection"])
def test_what_no_thread_can_send_ends_as_not_done(
    people: People, world: SandboxWorld, config: int, settings: Any, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """As where a process ends: it was claimed, and never on the wire."""
    settings.FLEXGATE_WAITING_THREADS = 8

    def fail() -> None:
        raise RuntimeError("no more threads are started")

    sent = len(world.calls_of("entitlements/vm/create"))
    with monkeypatch.context() as broken:
        broken.setattr(senders, place, fail)
        assert create(people, config).status_code == 500
    with acting_as(SETUP):
        row, lane = Operation.objects.order_by("-id")[0], UpstreamLane.objects.get()
        assert (row.state, row.error["code"], lane.holder) == ("failed", "upstream_unavailable", None)
        assert Attempt.objects.get(operation=row).outcome == "notsent"
        assert not UpstreamCall.objects.filter(outcome="").exists()
    assert not waiting._inside
    assert len(world.calls_of("entitlements/vm/create")) == sent
    settings.FLEXGATE_WAITING_THREADS = 0
    assert create(people, config).status_code == 201


def test_a_superuser_who_cancels_is_told_so(people: People, config: int) -> None:
    """Who sees everything stands as the gateway does, and reads within the same context."""
    with acting_as(SETUP):
        root = StaffClient(User.objects.create(username="root", is_staff=True, is_superuser=True))
    for who in (people.operator, root):
        made = people.acme.post("entitlements", {"config": config}, Prefer="respond-async").json()["operation"]["id"]
        answer = who.post(f"operations/{made}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "failed"), answer.content


def test_who_is_suspended_while_the_price_is_asked_for_gets_nothing_made(
    people: People, world: SandboxWorld, config: int
) -> None:
    """The token was looked up before."""
    sent = len(world.calls_of("entitlements/vm/create"))
    with acting_as(SETUP):
        Config.objects.update(points_per_day=None)

    def suspend() -> None:
        assert people.operator.patch("tenants/acme", {"status": "suspended"}).status_code == 200

    upstream.install_transport(During(world, "tools/calc", suspend))
    answer = create(people, config)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_available")
    assert "suspended" in answer.json()["detail"]
    assert len(world.calls_of("entitlements/vm/create")) == sent
