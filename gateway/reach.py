"""What a tenant may use: programs and accounts, and the API user that each is read through.

Looks as the gateway itself, because a tenant's role can't read API users, and hands back plain values.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from gateway.models import ApiUser, Assignment, Entitlement, Program, ProgramAccount
from tenants.actors import system
from tenants.context import acting_as
from tenants.models import Tenant

REACH = system("reach")


@dataclass(frozen=True, slots=True)
class ReachedAccount:
    program_serial: str
    account_id: int
    api_user: ApiUser


def accounts_for(tenant: Tenant | None) -> list[ReachedAccount]:
    """The (program, account) pairs that `tenant` may use, in a fixed order; None = the operator, who may use all.

    Left out = those of the API users that serve this tenant alone or, if there are none, of those that serve nobody alone.
    """
    with acting_as(REACH):
        rows = ProgramAccount.objects.select_related("api_user").order_by("program_id", "account_id")
        rows = rows.filter(api_user__enabled=True)
        if tenant is not None:
            rows = rows.filter(_rule_for(tenant))
        return [ReachedAccount(row.program_id, row.account_id, row.api_user) for row in rows]


def programs_for(tenant: Tenant | None) -> list[Program]:
    """The programs among `accounts_for`, by serial."""
    serials = {reached.program_serial for reached in accounts_for(tenant)}
    with acting_as(REACH):
        return list(Program.objects.filter(serial_number__in=serials).order_by("serial_number"))


def api_user_for(program_serial: str, account_id: int) -> ApiUser | None:
    """The one API user that this (program, account) is read through."""
    with acting_as(REACH):
        row = (
            ProgramAccount.objects.select_related("api_user")
            .filter(program_id=program_serial, account_id=account_id)
            .first()
        )
    return row.api_user if row else None


def is_used_by_one_tenant(program_serial: str, tenant: Tenant) -> bool:
    """Whether `tenant` alone may use the program, so that its balance tells nothing about anybody else. Four queries, however many tenants."""
    with acting_as(REACH):
        serials = Entitlement.objects.filter(program_id=program_serial).values("serial_number")
        if serials.filter(tenant__isnull=True).exists():
            return False  # it may be anybody's
        if Assignment.objects.filter(serial_number__in=serials).exclude(tenant=tenant).exists():
            return False
        rows = ProgramAccount.objects.filter(program_id=program_serial, api_user__enabled=True)
        places = list(rows.values_list("account_id", "api_user__tenant_id"))
        served = set(ApiUser.objects.filter(tenant__isnull=False).values_list("tenant_id", flat=True))
        others = Tenant.objects.exclude(id=tenant.id).values_list("id", "programs", "account_ids")
        return not any(
            may_use(place, other, program_serial, served=served) for other in others.iterator() for place in places
        )


def may_use_account(
    tenant: Tenant | None, api_user: ApiUser | None, program_serial: str, account_id: int, *, serves_alone: bool
) -> bool:
    """Whether `accounts_for(tenant)` names this account, which is read through `api_user`. `serves_alone` = some API user is `tenant`'s."""
    if api_user is None or not api_user.enabled:
        return False
    if tenant is None:
        return True
    served = {tenant.id} if serves_alone else set()
    rule = (tenant.id, tenant.programs, tenant.account_ids)
    return may_use((account_id, api_user.tenant_id), rule, program_serial, served=served)


def may_use(place: tuple[Any, Any], tenant: tuple[Any, Any, Any], program_serial: str, *, served: set[Any]) -> bool:
    """`_rule_for` in Python, for many tenants at once. `place` = an account and whom its API user serves alone; `tenant` = its id,
    programs and account_ids; `served` = the tenants that have an API user of their own.
    """
    (account_id, serves), (tenant_id, programs, account_ids) = place, tenant
    if serves not in {None, tenant_id}:
        return False
    if programs is None and account_ids is None:
        return bool(serves == tenant_id if tenant_id in served else serves is None)
    return (programs is None or program_serial in programs) and (account_ids is None or account_id in account_ids)


def _rule_for(tenant: Tenant) -> Q:
    if tenant.programs is None and tenant.account_ids is None:
        if ApiUser.objects.filter(tenant=tenant).exists():
            return Q(api_user__tenant=tenant)
        return Q(api_user__tenant__isnull=True)
    rule = Q(api_user__tenant=tenant) | Q(api_user__tenant__isnull=True)
    if tenant.programs is not None:
        rule &= Q(program_id__in=tenant.programs)
    if tenant.account_ids is not None:
        rule &= Q(account_id__in=tenant.account_ids)
    return rule
