"""Lost answers, repeated requests and equal ones: nothing is lost, nothing doubled, and what was wanted three times is there three times.

Real commits, threads and sockets: the sandbox with its faults, and clients that behave as Fortinet's do.
"""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
import time_machine

from gateway.dropin.body import Body
from gateway.dropin.places import Asked
from gateway.dropin.repeats import write_once
from gateway.dropin.turns import LEASE_SECONDS
from gateway.mirror import sync_api_user
from gateway.models import ApiUser, Assignment, Config, ConfigOffer, Entitlement, Operation
from gateway.operations import lock_unsettled, settle_failed
from gateway.provisioning.create import Wish, create_entitlements
from gateway.provisioning.idempotency import Outcome
from gateway.provisioning.manner import Manner
from tenants import clock, ids
from tenants.context import acting_as
from tenants.leases import take_lease
from tenants.models import Event, Lease
from tenants.problems import Problem
from tests.databases import OwnDatabase
from tests.end_to_end.processes import start_python, wait_for
from tests.gateway.dropin.clients import FlexClient
from tests.gateway.dropin.customers import Ansible, AnsibleFailure, Terraform, TerraformError
from tests.gateway.dropin.servers import ANSWER_SECONDS, Stand, stand_up
from tests.people import SETUP, make_client
from tests.worlds import ACCOUNT, ENT_2, PROGRAM

CREATE = "entitlements/vm/create"


@pytest.fixture
def stand(own_database: OwnDatabase) -> Iterator[Stand]:
    with stand_up() as stand:
        yield stand


@pytest.fixture
def worker(stand: Stand) -> Iterator[None]:
    """What the worker does every few seconds, every second."""
    stop = threading.Event()

    def work() -> None:
        from django.db import connections

        while not stop.wait(1):
            stand.reconcile()
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


def events() -> list[str]:
    with acting_as(SETUP):
        return list(Event.objects.filter(type="operation.repeated").values_list("data__kind", flat=True))


def owned() -> list[str]:
    with acting_as(SETUP):
        return sorted(Assignment.objects.values_list("serial_number", flat=True))


@pytest.mark.parametrize("fault", ["cut", "http_500", "html", "cut_json"])
def test_terraform_gets_the_entitlement_whose_answer_was_lost(stand: Stand, worker: None, fault: Any) -> None:
    """Made upstream, the answer lost: repeated by Terraform itself, found by its tag, given to it, and there is one."""
    terraform = Terraform(stand, stand.people.acme)
    stand.server.sandbox.plan_fault(CREATE, fault, when="after")
    row = terraform.create_vm(stand.config, description="one")
    assert stand.made() == [row["serialNumber"]] == owned()
    assert stand.sent(CREATE) == 1
    assert [operation.state for operation in stand.operations()] == ["succeeded"]
    assert terraform.read_vm(row) == row
    assert events() == []


def test_a_success_that_could_not_be_read_back_was_given_to_nobody(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database went away between the settling and the answer: it is an error of ours, and not the end of what was made."""
    token, entitlements = stand.access_token(stand.people.acme), type(Entitlement.objects.all())
    with monkeypatch.context() as broken:
        broken.setattr(entitlements, "visible_to", lambda self, actor: 1 / 0)
        assert post(stand, token).status_code == 500
    [made] = stand.made()
    answer = post(stand, token)
    assert (answer.status_code, [row["serialNumber"] for row in answer.json()["entitlements"]]) == (200, [made])
    assert stand.made() == [made] == owned()


def test_what_was_not_made_is_made_once_it_is_known(stand: Stand) -> None:
    """Cut off before FortiFlex did anything: not known for as long as FortiFlex may take, then anew."""
    token = stand.access_token(stand.people.acme)
    stand.server.sandbox.plan_fault(CREATE, "cut", when="before")
    started = time.monotonic()
    first = post(stand, token)
    assert (first.status_code, first.json()["status"], first.headers["Retry-After"]) == (503, -1, "1")
    assert ANSWER_SECONDS - 1 < time.monotonic() - started < ANSWER_SECONDS + 1
    assert stand.made() == []
    with acting_as(SETUP):
        operation = stand.operations()[0]
        assert (operation.state, operation.waited_until) == ("unknown", None)
        row = lock_unsettled(operation.id, attempt=1)
        assert row is not None
        settle_failed(row, code="not_done", detail="proven")
    second = post(stand, token)
    assert (second.status_code, len(second.json()["entitlements"])) == (200, 1)
    assert stand.made() == [second.json()["entitlements"][0]["serialNumber"]] == owned()


def post(stand: Stand, token: str, path: str = CREATE, **body: Any) -> httpx.Response:
    given = {"configId": stand.config, "count": 1} | body
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{stand.api_url}/{path}", json=given, headers=headers, timeout=20)


def test_a_hanging_fortiflex_is_answered_in_time_and_the_success_given_once(stand: Stand) -> None:
    stand.server.sandbox.plan_fault(CREATE, "timeout", when="after")
    token = stand.access_token(stand.people.acme)
    started = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: post(stand, token), range(3)))
    assert [answer.status_code for answer in answers] == [503] * 3
    assert time.monotonic() - started < ANSWER_SECONDS + 2
    assert [operation.state for operation in stand.operations()] == ["sent"]
    stand.server.closing.set()  # the sender gets its end at last: outcome unknown
    wait_for(lambda: stand.operations()[0].state == "unknown")
    stand.server.closing.clear()
    stand.reconcile()
    assert stand.operations()[0].state == "succeeded"
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: post(stand, token), range(3)))
    serials = [row["serialNumber"] for answer in answers for row in answer.json()["entitlements"]]
    assert len(set(serials)) == 3, "one took over what was made, two are new"
    assert sorted(serials) == sorted(stand.made()) == owned()


def test_count_3_side_by_side_makes_three(stand: Stand) -> None:
    """Terraform's `count = 3`: three equal creates at once, by one login."""
    token = stand.access_token(stand.people.acme)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: post(stand, token), range(3)))
    assert [(answer.status_code, len(answer.json()["entitlements"])) for answer in answers] == [(200, 1)] * 3
    serials = {answer.json()["entitlements"][0]["serialNumber"] for answer in answers}
    assert sorted(serials) == sorted(stand.made()) == owned()
    assert len(serials) == 3
    assert events() == ["create_vm"] * 2, "possible duplicates, for a person to look at"
    noted = [
        operation
        for operation in stand.operations()
        if any("possible_duplicate_of" in seen for seen in operation.evidence)
    ]
    assert len(noted) == 2
    with acting_as(SETUP):
        assert not Lease.objects.filter(name__startswith="repeat ").exists()


def test_count_3_with_one_lost_answer_makes_three(stand: Stand, worker: None) -> None:
    stand.server.sandbox.plan_fault(CREATE, "cut", when="after")
    terraforms = [Terraform(stand, stand.people.acme) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        rows = list(pool.map(lambda one: one.create_vm(stand.config), terraforms))
    serials = {row["serialNumber"] for row in rows}
    assert len(serials) == 3
    assert sorted(serials) == sorted(stand.made()) == owned()
    assert stand.sent(CREATE) == 3


def test_an_ansible_loop_makes_as_many_as_it_turns(stand: Stand) -> None:
    """One task after the other, each with a login of its own and the same body."""
    serials = []
    for _ in range(3):
        told = Ansible(stand, stand.people.acme).send(f"fortiflex/v2/{CREATE}", {"configId": stand.config, "count": 1})
        serials += [row["serialNumber"] for row in told["entitlements"]]
    assert len(set(serials)) == 3
    assert serials == stand.made()
    assert events() == ["create_vm"] * 2


def test_two_tenants_and_two_tokens_never_share_an_answer(stand: Stand) -> None:
    stand.server.sandbox.plan_fault(CREATE, "cut", when="after")
    acme, second, globex = (
        stand.access_token(person) for person in (stand.people.acme, make_client(slug="acme"), stand.people.globex)
    )
    assert post(stand, acme).status_code == 503
    stand.reconcile()
    lost = stand.made()
    others = [post(stand, token).json()["entitlements"][0]["serialNumber"] for token in (second, globex)]
    assert lost[0] not in others
    assert post(stand, acme).json()["entitlements"][0]["serialNumber"] == lost[0]
    assert len(stand.made()) == 3


def test_another_body_is_another_wish(stand: Stand) -> None:
    stand.server.sandbox.plan_fault(CREATE, "cut", when="after")
    token = stand.access_token(stand.people.acme)
    assert post(stand, token, description="one").status_code == 503
    stand.reconcile()
    lost = stand.made()
    assert post(stand, token, description="two").json()["entitlements"][0]["serialNumber"] not in lost
    same = {"configId": str(stand.config), "count": "1", "description": "one", "endDate": None, "unknown": 1}
    assert post(stand, token, **same).json()["entitlements"][0]["serialNumber"] == lost[0], (
        "the checked body is what counts"
    )


def test_an_entitlement_that_was_stopped_meanwhile_answers_no_creation(stand: Stand) -> None:
    stand.server.sandbox.plan_fault(CREATE, "cut", when="after")
    token = stand.access_token(stand.people.acme)
    assert post(stand, token, skipPending=True).status_code == 503
    stand.reconcile()
    lost = stand.made()
    assert post(stand, token, "entitlements/stop", serialNumber=lost[0]).status_code == 200
    assert post(stand, token, skipPending=True).json()["entitlements"][0]["serialNumber"] not in lost


def test_a_refusal_costs_one_upstream_error_however_often_it_is_sent(stand: Stand) -> None:
    """Terraform sends a failing call four times; FortiFlex counts ten errors an hour."""
    row = Terraform(stand, stand.people.acme).create_vm(stand.config)
    terraform = Terraform(stand, stand.people.acme)
    with pytest.raises(TerraformError):
        terraform.switch(row, "reactivate")  # PENDING: goes upstream, and is refused there
    assert terraform.sends == 4
    assert stand.sent("entitlements/reactivate") == 1


def test_a_refusal_is_forgotten_after_a_minute(stand: Stand) -> None:
    row = Terraform(stand, stand.people.acme).create_vm(stand.config)
    token = stand.access_token(stand.people.acme)
    for _ in range(2):
        assert post(stand, token, "entitlements/stop", serialNumber=row["serialNumber"]).status_code == 400
    assert stand.sent("entitlements/stop") == 1
    with acting_as(SETUP):
        Operation.objects.filter(kind="stop").update(settled_at=clock.now() - timedelta(seconds=61))
    assert post(stand, token, "entitlements/stop", serialNumber=row["serialNumber"]).status_code == 400
    assert stand.sent("entitlements/stop") == 2


def test_a_lost_stop_is_not_refused_when_it_is_repeated(stand: Stand, worker: None) -> None:
    terraform = Terraform(stand, stand.people.acme)
    row = terraform.create_vm(stand.config, skipPending=True)
    stand.server.sandbox.plan_fault("entitlements/stop", "cut", when="after")
    terraform.destroy_vm(row, refresh_token=True)
    assert terraform.read_vm(row)["status"] == "STOPPED"
    assert stand.sent("entitlements/stop") == 1


def test_what_was_removed_or_moved_with_a_lost_answer_is_told_to_the_next_who_asks(stand: Stand) -> None:
    """By then neither the removed device nor the place that the moved one came from is there any more."""
    sandbox, token = stand.server.sandbox, stand.access_token(stand.people.acme)
    sandbox.add_account(100_002)
    sandbox.create_config(program=PROGRAM, name="there", product_type_id=1, parameters=ENT_2, account_id=100_002)
    with acting_as(SETUP):
        reader = ApiUser.objects.get()
    sync_api_user(reader)
    with acting_as(SETUP):
        there = Config.objects.get(account_id=100_002)
        ConfigOffer.objects.create(config=there, tenant=stand.people.tenant("acme"))
    new = {"programSerialNumber": PROGRAM, "accountId": ACCOUNT, "name": "hw", "productTypeId": 101}
    parameters = [{"id": 27, "value": "FGT60F"}, {"id": 28, "value": "FGHWUTP"}]
    config = post(stand, token, "configs/create", **new, parameters=parameters).json()["configs"]["id"]
    device = "FGT60FTK20000001"
    post(stand, token, "entitlements/hardware/create", configId=config, serialNumbers=[device])
    moving = post(stand, token).json()["entitlements"][0]["serialNumber"]
    place = {"sourceAccountId": ACCOUNT, "sourceConfigId": stand.config, "targetAccountId": 100_002}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("entitlements/hardware/remove", {"serialNumbers": [device]}),
        ("entitlements/transfer", {"serialNumbers": [moving], **place, "targetConfigId": there.id}),
    ]
    for path, body in asked:
        sandbox.plan_fault(path, "cut", when="after")
        assert post(stand, token, path, **body).status_code == 503
        for seconds in (0, 300, 900):  # it is looked for twice before it is believed to be gone
            with time_machine.travel(clock.now() + timedelta(seconds=seconds)):
                stand.reconcile()
        with acting_as(SETUP):
            assert Operation.objects.order_by("id").last().state == "succeeded"  # type: ignore[union-attr]
        answer = post(stand, token, path, **body)
        assert answer.status_code == 200, answer.json()
        assert stand.sent(path) == 1
        again = post(stand, token, path, **body)
        assert (again.status_code, stand.sent(path)) == (400, 1)


def test_an_old_success_of_a_change_is_not_taken_for_the_present(stand: Stand) -> None:
    token = stand.access_token(stand.people.acme)
    row = post(stand, token).json()["entitlements"][0]
    update = {"serialNumber": row["serialNumber"], "configId": stand.config}
    stand.server.sandbox.plan_fault("entitlements/update", "cut", when="after")
    assert post(stand, token, "entitlements/update", **update, description="a").status_code == 503
    stand.reconcile()
    assert post(stand, token, "entitlements/update", **update, description="b").status_code == 200
    told = post(stand, token, "entitlements/update", **update, description="a").json()
    assert told["entitlements"][0]["description"] == "a"
    assert stand.sent("entitlements/update") == 3


DYING = """
from django.conf import settings
settings.FLEXGATE_WAITING_THREADS = 16
from django.test import Client
print(Client().generic("POST", "/ES/api/fortiflex/v2/entitlements/vm/create", data='{body}', content_type="application/json",
    headers={{"Authorization": "Bearer {token}", "Host": "localhost"}}).content)
"""


def test_a_process_that_dies_while_it_waits_leaves_the_turn_to_the_next(
    own_database: OwnDatabase, stand: Stand
) -> None:
    """Its turn runs out by itself; what it had sent is found, and given to the repeated request."""
    stand.server.sandbox.plan_fault(CREATE, "timeout", when="after")
    client = FlexClient(stand.people.acme)
    body = {"configId": stand.config, "count": 1}
    code = DYING.format(body=json.dumps(body), token=client.access_token)
    child = start_python(code, own_database.environment)
    wait_for(lambda: stand.sent(CREATE) == 1)
    child.kill()
    child.communicate()
    assert [operation.state for operation in stand.operations()] == ["sent"]
    with acting_as(SETUP):
        assert Lease.objects.filter(name__startswith="repeat ", held_until__isnull=False).count() == 1
    with time_machine.travel(clock.now() + timedelta(seconds=LEASE_SECONDS), tick=True):
        assert client.call(CREATE, body)[0] == 503, "what was sent may yet be answered"
        with acting_as(SETUP):
            assert not Lease.objects.filter(name__startswith="repeat ").exists(), "it had the turn, and gave it back"
    with time_machine.travel(clock.now() + timedelta(seconds=200), tick=True):
        stand.reconcile()
        answer = client.ok(CREATE, body)
    assert [row["serialNumber"] for row in answer["entitlements"]] == stand.made() == owned()
    assert len(stand.operations()) == 1


SHORT = """
from gateway.dropin import turns
turns.LEASE_SECONDS, turns.RENEWED_EVERY = 2.0, 0.4
"""


def test_a_living_process_keeps_its_turn_and_a_killed_one_frees_it_soon(
    own_database: OwnDatabase, stand: Stand
) -> None:
    stand.server.sandbox.plan_fault(CREATE, "timeout", when="after")
    client = FlexClient(stand.people.acme)
    body = {"configId": stand.config, "count": 1}
    code = SHORT + DYING.format(body=json.dumps(body), token=client.access_token)
    child = start_python(code, own_database.environment)
    try:
        wait_for(lambda: stand.sent(CREATE) == 1)
        time.sleep(5)  # two leases and a half
        assert take_turn_of_others() is False
        assert client.call(CREATE, body)[0] == 503
        assert len(stand.operations()) == 1
    finally:
        child.kill()
        child.communicate()
    wait_for(take_turn_of_others, seconds=2.5)


def take_turn_of_others() -> bool:
    with acting_as(SETUP):
        (name,) = Lease.objects.filter(name__startswith="repeat ").values_list("name", flat=True)
    return take_lease(name, seconds=1) is not None


def test_who_was_stopped_and_lost_its_turn_plans_nothing(stand: Stand) -> None:
    acme, tenant = stand.people.acme.actor, stand.people.tenant("acme")

    def create_when_overtaken(manner: Manner) -> Outcome:
        with acting_as(SETUP):
            assert Lease.objects.filter(name__startswith="repeat ").update(holder=ids.new_id()) == 1
        return create_entitlements(acme, Wish(config=stand.config, count=1), tenant=tenant, manner=manner)

    with pytest.raises(Problem) as raised:
        write_once(Asked(acme, tenant, CREATE, Body({})), {"count": 1}, create_when_overtaken, lambda _: {})
    assert raised.value.status == 503
    assert (stand.operations(), stand.made()) == ([], [])


def test_no_more_wait_than_may_and_the_others_are_told_at_once(own_database: OwnDatabase) -> None:
    with stand_up(waiting_threads=2) as stand:
        token = stand.access_token(stand.people.acme)
        stand.server.sandbox.plan_fault(CREATE, "timeout", when="after")
        started = time.monotonic()

        def ask(number: int) -> tuple[int, float]:
            answer = post(stand, token, description=f"number {number}")
            return answer.status_code, time.monotonic() - started

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(8)))
        assert {status for status, _ in answers} == {503}
        assert sum(took < 2 for _, took in answers) >= 4
        listed = httpx.post(f"{stand.api_url}/programs/list", headers={"Authorization": f"Bearer {token}"}, timeout=5)
        assert listed.status_code == 200, "reads are not held up"


def test_a_failure_reads_as_one_to_ansible(stand: Stand) -> None:
    """Its entitlements_update takes any text of a failed stop but one for success."""
    row = Ansible(stand, stand.people.acme).send(f"fortiflex/v2/{CREATE}", {"configId": stand.config, "count": 1})[
        "entitlements"
    ][0]
    with pytest.raises(AnsibleFailure, match="Unable to update"):
        Ansible(stand, stand.people.acme).update_entitlement(row["serialNumber"], status="STOPPED")
