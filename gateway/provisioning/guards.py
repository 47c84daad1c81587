"""Before money is spent: what the operator allows a tenant, and what the program still gives."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet, Sum

from gateway.days import today
from gateway.models import Config, Entitlement, Operation, Program
from gateway.operations import CREATIONS, JOURNAL, OPEN
from gateway.provisioning.estimates import more_points, points_of_config
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem

ENDED = ("STOPPED", "EXPIRED")  # consumes nothing and can't be used


def guard_creation(tenant: Tenant | None, config: Config, *, count: int, points_per_day: Decimal | None) -> None:
    """Entitlements and points a day that this tenant may have. Problem `quota_exceeded`.

    In the transaction that plans: the tenant's row is locked, so that of two at once the second counts the first.
    """
    if tenant is None or not has_limits(tenant):
        return
    limits = tenant.limits
    with acting_as(JOURNAL):
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        running = _running(tenant)
        # What is asked for and not settled yet may come to exist.
        asked = list(Operation.objects.filter(tenant=tenant, kind__in=CREATIONS, state__in=OPEN))
        if limits.get("entitlements") is not None:
            coming = sum(len(row.serial_numbers) or int(row.intent.get("count", 1)) for row in asked)
            if count and running.count() + coming + count > int(limits["entitlements"]):
                raise Problem("quota_exceeded", f"Your limit is {limits['entitlements']} running entitlements.")
        if limits.get("points_per_day") is not None and points_per_day is None:
            raise Problem(
                "upstream_unavailable",
                "What this costs a day can't be known right now, and you have a limit of points. Try again later.",
                headers={"Retry-After": "60"},
            )
        if limits.get("points_per_day") is not None and points_per_day is not None:
            used = running.aggregate(points=Sum("config__points_per_day"))["points"] or Decimal(0)
            used += sum((row.points_per_day or Decimal(0) for row in asked), Decimal(0))
            if used + points_per_day > Decimal(str(limits["points_per_day"])):
                raise Problem("quota_exceeded", f"Your limit is {limits['points_per_day']} points a day.")


def has_limits(tenant: Tenant | None) -> bool:
    """Whether `guard_creation` has anything to count for `tenant`."""
    return tenant is not None and bool({"entitlements", "points_per_day"} & set(tenant.limits))


def guard_resize(tenant: Tenant | None, config: Config, *, more: Decimal | None) -> None:
    """The same for `more` points a day of what runs already (None = unknown); less is always allowed."""
    if more is None or more > 0:
        guard_creation(tenant, config, count=0, points_per_day=more)


def guard_new_size(tenant: Tenant | None, config: Config, wanted: Sequence[Mapping[str, Any]]) -> None:
    """`wanted` = the parameters that a config of `tenant` will have: all of its that runs under it costs that much then.

    Outside every context: FortiFlex may be asked.
    """
    if tenant is None or not needs_points(tenant):
        return
    with acting_as(JOURNAL):
        running = _running(tenant).filter(config=config).count()
    more = more_points(config, [dict(item) for item in wanted], tenant=tenant) if running else Decimal(0)
    guard_resize(tenant, config, more=None if more is None else more * running)


def guard_move(tenant: Tenant | None, row: Entitlement, target: Config) -> None:
    """`row` will cost what an entitlement of `target` costs; one that has ended, only once it is reactivated. As `guard_new_size`."""
    if tenant is None or not needs_points(tenant) or row.status in ENDED:
        return
    before, after = points_of_config(row.config, tenant=tenant), points_of_config(target, tenant=tenant)
    guard_resize(tenant, target, more=None if before is None or after is None else after - before)


def needs_points(tenant: Tenant | None) -> bool:
    """Whether a creation may not be planned before its points are known."""
    return tenant is not None and tenant.limits.get("points_per_day") is not None


def _running(tenant: Tenant) -> "QuerySet[Entitlement]":
    return Entitlement.objects.filter(tenant=tenant, vanished_at__isnull=True).exclude(status__in=ENDED)


def guard_product(tenant: Tenant | None, product_type_id: int) -> None:
    """Problem `quota_exceeded` for a product that the operator does not let this tenant have."""
    allowed: Sequence[int] | None = tenant.limits.get("products") if tenant else None
    if allowed is not None and product_type_id not in allowed:
        raise Problem("quota_exceeded", "This product is not among those that you may use; ask your operator.")


def guard_program(program: Program) -> None:
    """A program that has ended, or a prepaid one without points, takes no new entitlements; running ones go on."""
    if program.end_day is not None and program.end_day < today():
        raise Problem("state_conflict", f"The program ended on {program.end_day}; it takes no new entitlements.")
    if program.point_balance is not None and program.point_balance <= 0:
        raise Problem("insufficient_points", "The program has no points left. Running entitlements go on.")
