"""Before money is spent: what the operator allows a tenant, and what the program still gives."""

from collections.abc import Sequence
from decimal import Decimal

from django.db.models import Q, QuerySet, Sum

from gateway.days import today
from gateway.models import Config, Entitlement, Operation, Program
from gateway.operations import CREATIONS, JOURNAL, OPEN
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem

ENDED = ("STOPPED", "EXPIRED")  # consumes nothing and can't be used
# Of entitlements: nobody knows yet what it costs. Where FortiFlex itself can't say it counts as nothing, for that would never change.
UNPRICED = Q(config__points_per_day__isnull=True, config__price_refused_at__isnull=True)


def guard_creation(tenant: Tenant | None, *, count: int, points_per_day: Decimal | None) -> None:
    """Entitlements and points a day that this tenant may have. Problem `quota_exceeded`.

    In the transaction that plans: the tenant's row is locked, so that of two at once the second counts the first.
    """
    if tenant is None or not has_limits(tenant):
        return
    limits = tenant.limits
    with acting_as(JOURNAL):
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        running = running_of(tenant)
        # What is asked for and not settled yet may come to be.
        concerns = Q(kind__in=[*CREATIONS, Operation.Kind.REACTIVATE]) | Q(points_per_day__gt=0)
        asked = list(Operation.objects.filter(concerns, tenant=tenant, state__in=OPEN))
        if limits.get("entitlements") is not None:
            coming = sum(coming_of(row) for row in asked)
            if count and running.count() + coming + count > int(limits["entitlements"]):
                raise Problem("quota_exceeded", f"Your limit is {limits['entitlements']} running entitlements.")
        if limits.get("points_per_day") is not None:
            if points_per_day is None or running.filter(UNPRICED).exists():
                raise Problem(
                    "upstream_unavailable",
                    "What this costs a day can't be known right now, and you have a limit of points. Try again later.",
                    headers={"Retry-After": "60"},
                )
            used = running.aggregate(points=Sum("config__points_per_day"))["points"] or Decimal(0)
            used += sum((max(row.points_per_day or Decimal(0), Decimal(0)) for row in asked), Decimal(0))
            if used + points_per_day > Decimal(str(limits["points_per_day"])):
                raise Problem("quota_exceeded", f"Your limit is {limits['points_per_day']} points a day.")


def running_of(tenant: Tenant) -> "QuerySet[Entitlement]":
    """What counts against its limits. Inside a context of the gateway."""
    return Entitlement.objects.filter(tenant=tenant, vanished_at__isnull=True).exclude(status__in=ENDED)


def coming_of(operation: Operation) -> int:
    """How many more will run once an open `operation` is done."""
    if operation.kind in CREATIONS:
        return len(operation.serial_numbers) or int(operation.intent.get("count", 1))
    return int(operation.kind == Operation.Kind.REACTIVATE and operation.before.get("status") in ENDED)


def has_limits(tenant: Tenant | None) -> bool:
    """Whether `guard_creation` has anything to count for `tenant`."""
    return tenant is not None and bool({"entitlements", "points_per_day"} & set(tenant.limits))


def guard_resize(tenant: Tenant | None, config: Config, *, number: int, price: Decimal | None) -> Decimal | None:
    """The same for `number` running entitlements of `config` that will cost `price` a day each (None = unknown); less is always allowed.

    By how much it will be more in all.
    """
    standing = Decimal(0) if config.price_refused_at is not None else config.points_per_day
    more = None if price is None or standing is None else number * (price - standing)
    if number and (more is None or more > 0):
        guard_creation(tenant, count=0, points_per_day=more)
    return more


def guard_move(tenant: Tenant | None, rows: Sequence[Entitlement], target: Config) -> Decimal | None:
    """The same for `rows`, all of one config, that are to stand under `target` instead. Where prices don't decide, None."""
    if not needs_points(tenant):
        return None
    running = sum(row.status not in ENDED for row in rows)
    price = Decimal(0) if target.price_refused_at is not None else target.points_per_day
    return guard_resize(tenant, rows[0].config, number=running, price=price)


def count_under(config: Config, tenant: Tenant | None) -> int:
    """How many entitlements of `tenant` run under `config`, or will. Inside a context of the gateway."""
    if tenant is None:
        return 0
    asked = Operation.objects.filter(tenant=tenant, config_id=config.id, kind__in=CREATIONS, state__in=OPEN)
    return running_of(tenant).filter(config=config).count() + sum(coming_of(row) for row in asked)


def needs_points(tenant: Tenant | None) -> bool:
    """Whether a creation may not be planned before its points are known."""
    return tenant is not None and tenant.limits.get("points_per_day") is not None


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
