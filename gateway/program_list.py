"""Programs as their users see them: a page of them in the same few statements, however many there are.

Whose a program is to use is found as the gateway itself, like everything about reach, and handed back as plain values.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from gateway.consumption import points_by_program
from gateway.days import today
from gateway.models import ApiUser, Program, ProgramAccount
from gateway.reach import REACH, may_use
from tenants.actors import Actor
from tenants.context import acting_as
from tenants.directory import tenants_of
from tenants.models import Tenant

NONE = Decimal("0.0000")
Place = tuple[int, UUID | None]  # an account, and the tenant that its API user serves alone
# Programs of which an entitlement is, or ever was, another's than the one tenant that may use them.
OTHERS_OWN = """
    SELECT given.program FROM unnest(%s::text[], %s::uuid[]) AS given (program, tenant_id) WHERE EXISTS (
        SELECT 1 FROM gateway_assignment a JOIN gateway_entitlement e ON e.serial_number = a.serial_number
        WHERE e.program_id = given.program AND a.tenant_id <> given.tenant_id)
    OR EXISTS (SELECT 1 FROM gateway_entitlement e WHERE e.program_id = given.program AND e.tenant_id IS NULL)
"""


def find_programs(
    actor: Actor,
    *,
    serial: str | None = None,
    beyond: str | None = None,
    upward: bool = True,
    count: int | None = None,
) -> list[dict[str, Any]]:
    """At most `count` programs that `actor` may use, by serial from `beyond` on; `serial` = that one alone. Inside `acting_as(actor)`.

    The balance is shown where it tells nothing about anybody else: to the operator, and to the one tenant that ever used the program,
    while nothing in it is unassigned.
    """
    mine = tenants_of(actor)
    with acting_as(REACH):
        reach = _read_reach(serial)
        rows = Program.objects.defer("raw")  # the operator sees those too that no enabled API user reaches
        if mine is not None:
            rows = rows.filter(serial_number__in=reach.programs_of(mine))
        if serial is not None:
            rows = rows.filter(serial_number=serial)
        if beyond is not None:
            rows = rows.filter(**{f"serial_number__{'gt' if upward else 'lt'}": beyond})
        programs = list(rows.order_by("serial_number" if upward else "-serial_number")[:count])
        alone = None if mine is None else _used_alone(programs, {tenant.id for tenant in mine}, reach)
    day = today()
    points = points_by_program(
        actor, first=day.replace(day=1), last=day, program_serials=[program.serial_number for program in programs]
    )
    return [
        show_program(
            program,
            points=points.get(program.serial_number, NONE),
            balance=alone is None or program.serial_number in alone,
        )
        for program in programs
    ]


def show_program(program: Program, *, points: Decimal = NONE, balance: bool = True) -> dict[str, Any]:
    """A program as the API shows it; `points` of this month, and whether the reader may know the `balance`."""
    return {
        "program": program.serial_number,
        "account_id": program.account_id,
        "start_date": program.start_day,
        "end_date": program.end_day,
        "prepaid": program.is_prepaid,
        "point_balance": program.point_balance if balance else None,
        "points_this_month": points,
    }


@dataclass(frozen=True, slots=True)
class _Reach:
    """`places` by program; `tenants` = every one's id, programs and account_ids; `served` = those that have an API user of their own."""

    places: Mapping[str, Sequence[Place]]
    tenants: Sequence[tuple[Any, Any, Any]]
    served: set[Any]

    def users_of(self, program: str) -> set[UUID]:
        return {
            tenant[0]
            for tenant in self.tenants
            if any(may_use(place, tenant, program, served=self.served) for place in self.places[program])
        }

    def programs_of(self, mine: Sequence[Tenant]) -> list[str]:
        """Those that any of `mine` may use."""
        wanted = {tenant.id for tenant in mine}
        asking = [tenant for tenant in self.tenants if tenant[0] in wanted]
        return [
            program
            for program, places in self.places.items()
            if any(may_use(place, tenant, program, served=self.served) for tenant in asking for place in places)
        ]


def _read_reach(serial: str | None) -> _Reach:
    """Three statements. Inside a context of the gateway."""
    rows = ProgramAccount.objects.filter(api_user__enabled=True)
    rows = rows if serial is None else rows.filter(program_id=serial)
    places: dict[str, list[Place]] = defaultdict(list)
    for program, account_id, serves in rows.values_list("program_id", "account_id", "api_user__tenant_id"):
        places[program].append((account_id, serves))
    served = set(ApiUser.objects.filter(tenant__isnull=False).values_list("tenant_id", flat=True))
    return _Reach(places, list(Tenant.objects.values_list("id", "programs", "account_ids")), served)


def _used_alone(programs: Sequence[Program], mine: set[UUID], reach: _Reach) -> set[str]:
    """Of those that have a balance, the ones that one tenant of `mine` alone may use and ever used."""
    candidates: dict[str, UUID] = {}
    for program in programs:
        users = reach.users_of(program.serial_number) if program.point_balance is not None else set()
        if len(users) == 1 and users <= mine:
            candidates[program.serial_number] = next(iter(users))
    with connection.cursor() as cursor:
        cursor.execute(OTHERS_OWN, [list(candidates), list(candidates.values())])
        return set(candidates) - {row[0] for row in cursor.fetchall()}
