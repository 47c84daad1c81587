"""Plans by the thousand are the plans that one by one would have been, in statements that don't grow with them."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.models import Operation
from gateway.operations import Plan, plan_operation, plan_operations
from tenants import clock
from tenants.context import acting_as, with_request_id
from tenants.models import AuditEntry
from tests.people import SETUP, People
from tests.worlds import ACCOUNT, PROGRAM, SandboxWorld


def plans(people: People, world: SandboxWorld, number: int) -> list[Plan]:
    return [
        Plan(
            kind=Operation.Kind.RENEW_TOKEN,
            tenant_id=people.tenant("globex").id,
            api_user_id=world.api_user.id,
            program_serial=PROGRAM,
            account_id=ACCOUNT,
            config_id=world.config_id,
            serial_numbers=[f'FG"M\\{n}'],
            intent={"because": "handover", "text": "ü\n{}"},
            before={"token_digest": f"{n}"},
            points_per_day=Decimal("6.3900"),
            background=bool(n % 2),
        )
        for n in range(number)
    ]


def written() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The last three operations and their audit entries, without what no two can share."""
    with acting_as(SETUP):
        operations = list(Operation.objects.order_by("-id").values())[:3]
        entries = list(AuditEntry.objects.filter(action="operation.planned").order_by("-id").values())[:3]
    assert [UUID(entry["subject_key"]) for entry in entries] == [row["id"] for row in operations]
    for row in (*operations, *entries):
        row.pop("id")
        row.pop("subject_key", None)
    return operations, entries


def test_many_are_planned_as_each_would_be(people: People, world: SandboxWorld) -> None:
    given = plans(people, world, 3)
    with time_machine.travel(clock.now(), tick=False), with_request_id("one request"):
        with acting_as(SETUP):
            for plan in given:
                plan_operation(SETUP, plan, deferred=True)
        one_by_one = written()
        with acting_as(SETUP):
            made = plan_operations(SETUP, given)
        assert written() == one_by_one
    with acting_as(SETUP):
        assert [row.serial_numbers for row in made] == [list(plan.serial_numbers) for plan in given]
        assert set(Operation.objects.values_list("id", flat=True)) >= {row.id for row in made}


def test_a_thousand_take_as_many_statements_as_ten(people: People, world: SandboxWorld) -> None:
    taken = []
    for number in (10, 1000):
        given = plans(people, world, number)
        with CaptureQueriesContext(connection) as told, acting_as(SETUP):
            plan_operations(SETUP, given)
        taken.append(len(told))
    assert taken[0] == taken[1] < 10
