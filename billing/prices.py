"""Dated rates: what the operator charges per point, for one tenant before the default."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction

from billing.models import Rate, Statement
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem, invalid


def set_rate(
    actor: Actor,
    *,
    tenant: Tenant | None,
    currency: str,
    price_per_point: Decimal,
    from_day: date,
    until_day: date | None = None,
) -> Rate:
    """A rate for [from_day, until_day). An open earlier one of the same tenant and currency ends at `from_day`.

    Problem `invalid` for a currency that is not the tenant's, `state_conflict` where another rate covers the days or days are billed.
    """
    if tenant is not None and tenant.currency != currency:
        raise invalid("/currency", f"{tenant.slug} is billed in {tenant.currency}; name that currency.")
    if until_day is not None and until_day <= from_day:
        raise invalid("/until_day", "A rate ends after the day it begins.")
    with acting_as(actor):
        _refuse_billed_days(tenant, currency, from_day)
        try:
            with transaction.atomic():
                open_before = Rate.objects.filter(
                    tenant=tenant, currency=currency, until_day__isnull=True, from_day__lt=from_day
                )
                open_before.update(until_day=from_day)
                rate = Rate.objects.create(
                    tenant=tenant,
                    currency=currency,
                    price_per_point=price_per_point,
                    from_day=from_day,
                    until_day=until_day,
                    created_by=actor.name,
                )
        except IntegrityError as error:
            raise Problem(
                "state_conflict", "Another rate covers some of these days already; end it, or choose other days."
            ) from error
        record_audit(
            actor,
            "rate.set",
            subject_type="rate",
            subject_key=rate.id,
            tenant_id=None,  # prices are the operator's: a tenant sees them on its own lines
            after=describe_rate(rate),
        )
    return rate


def _refuse_billed_days(tenant: Tenant | None, currency: str, from_day: date) -> None:
    """A rate that was used on an issued statement can't be changed, only ended from a day that is not billed yet."""
    billed = Statement.objects.filter(currency=currency, period_to__gte=from_day)
    if tenant is not None:
        billed = billed.filter(tenant=tenant)
    latest = billed.order_by("-period_to").first()
    if latest is not None:
        raise Problem(
            "state_conflict", f"Days up to {latest.period_to} are on an issued statement; begin the rate after them."
        )


def describe_rate(rate: Rate) -> dict[str, Any]:
    return {
        "id": rate.id,
        "tenant": rate.tenant.slug if rate.tenant else None,
        "currency": rate.currency,
        "price_per_point": rate.price_per_point,
        "from_day": rate.from_day,
        "until_day": rate.until_day,
        "created_at": rate.created_at,
    }
