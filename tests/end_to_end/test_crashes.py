"""Processes that die between the journal and the answer: nothing is lost, nothing is made twice."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine

from gateway.models import ApiUser, Assignment, Config, ConfigOffer, Operation
from gateway.processes.locations import embedded_broker_url
from gateway.reconciliation import reconcile_operations
from gateway.sandbox import SandboxServer, serve_sandbox
from gateway.tags import split_tag
from tenants import clock
from tenants.context import acting_as
from tests.databases import OwnDatabase
from tests.end_to_end.processes import add_user_of, calls_of, start_python, wait_for
from tests.people import SETUP, make_people
from tests.worlds import ACCOUNT, ENT_2, PROGRAM, make_sandbox

CREATE = """
from tenants.authentication import actor_of
from tenants.context import acting_as
from tenants.actors import system
from tenants.models import Tenant, Token
from gateway.provisioning.create import Wish, create_entitlements
with acting_as(system("test")):
    acme = Tenant.objects.get(slug="acme")
    actor = actor_of(Token.objects.filter(tenant=acme).first())
create_entitlements(actor, Wish(config={config}, count=1, description="mine"), tenant=acme)
"""


@pytest.fixture
def server(own_database: OwnDatabase) -> Iterator[SandboxServer]:
    """A sandbox with one config offered to acme, mirrored."""
    sandbox = make_sandbox()
    with sandbox.at(clock.now() - timedelta(days=1)):
        config = sandbox.create_config(
            program=PROGRAM, name="c", product_type_id=1, parameters=ENT_2, account_id=ACCOUNT
        )
    running = serve_sandbox(sandbox)
    people = make_people()
    add_user_of(running)
    with acting_as(SETUP):
        ConfigOffer.objects.create(config=Config.objects.get(id=config["id"]), tenant=people.tenant("acme"))
    yield running
    running.close()


def config_id() -> int:
    with acting_as(SETUP):
        return Config.objects.get().id


def only_operation() -> Operation:
    with acting_as(SETUP):
        return Operation.objects.get(kind="create_vm")


def test_a_process_killed_between_journal_and_answer_loses_nothing(
    own_database: OwnDatabase, server: SandboxServer
) -> None:
    server.sandbox.plan_fault("entitlements/vm/create", "timeout", when="after")  # done upstream; the answer hangs
    child = start_python(CREATE.format(config=config_id()), own_database.environment)
    wait_for(lambda: calls_of(server, "entitlements/vm/create") == 1)
    child.kill()
    child.wait()
    assert child.stdout is not None
    child.stdout.close()
    assert only_operation().state == "sent"
    assert reconcile_operations().settled == []  # its sender might still be alive: nobody touches it yet
    with time_machine.travel(clock.now() + timedelta(seconds=200), tick=True):
        reconcile_operations()
    row = only_operation()
    assert row.state == "succeeded"
    made = server.sandbox.entitlements()
    assert [item["serialNumber"] for item in made] == row.serial_numbers
    _, tag = split_tag(made[0]["description"])
    assert tag is not None
    assert (tag.operation_id, tag.tenant_slug, tag.valid) == (row.id, "acme", True)
    assert calls_of(server, "entitlements/vm/create") == 1
    with acting_as(SETUP):
        assert list(Assignment.objects.values_list("serial_number", "tenant__slug")) == [
            (row.serial_numbers[0], "acme")
        ]


def test_two_reconcilers_at_once_adopt_once(own_database: OwnDatabase, server: SandboxServer) -> None:
    server.sandbox.plan_fault("entitlements/vm/create", "cut", when="after")
    child = start_python(CREATE.format(config=config_id()), own_database.environment)
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 0, output
    assert only_operation().state == "unknown"
    code = "from gateway.reconciliation import reconcile_operations\nreconcile_operations(everything=True)"
    children = [start_python(code, own_database.environment) for _ in range(2)]
    for one in children:
        output, _ = one.communicate(timeout=60)
        assert one.returncode == 0, output
    row = only_operation()
    assert row.state == "succeeded"
    with acting_as(SETUP):
        assert Assignment.objects.count() == 1


def test_what_a_killed_worker_left_is_found_again_in_postgresql(
    own_database: OwnDatabase, server: SandboxServer
) -> None:
    from django.conf import settings

    server.sandbox.plan_fault("entitlements/vm/create", "cut", when="after")
    child = start_python(CREATE.format(config=config_id()), own_database.environment)
    child.communicate(timeout=60)
    assert only_operation().state == "unknown"
    broker = f"{embedded_broker_url(settings.FLEXGATE_DATA)}?virtual_host=7"
    environment = own_database.environment | {"CELERY_BROKER_URL": broker}
    work = "import sys; from celery.__main__ import main; sys.argv = ['celery', '-A', 'gateway.celery', 'worker', '-P', 'threads', '-c', '2']; main()"
    wake = "from gateway.tasks import reconcile_due; reconcile_due.delay()"
    server.sandbox.plan_fault("entitlements/list", "timeout", when="before")  # the worker's look hangs
    looks = calls_of(server, "entitlements/list")
    with acting_as(SETUP):
        Operation.objects.update(next_check_at=clock.now())
    first = start_python(work, environment)
    try:
        start_python(wake, environment).communicate(timeout=60)
        wait_for(lambda: calls_of(server, "entitlements/list") == looks + 1, seconds=60)
    finally:
        first.kill()
        first.communicate()
    assert only_operation().state == "unknown"
    # Ten minutes later: lane, lease and claim of the dead worker have run out. The broker is not asked what was lost.
    later = environment | {"FLEXGATE_CLOCK_SHIFT": "600"}
    second = start_python(work, later)
    try:
        start_python(wake, later).communicate(timeout=60)
        wait_for(lambda: only_operation().state == "succeeded", seconds=60)
    finally:
        second.kill()
        second.communicate()
    assert len(server.sandbox.entitlements()) == 1
    with acting_as(SETUP):
        assert ApiUser.objects.count() == 1
