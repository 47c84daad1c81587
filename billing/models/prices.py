"""What the operator charges: dated rates."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, Q, TextField, Value
from django.db.models.functions import Cast, Coalesce

from tenants import clock, ids


class DayRange(Func):
    function = "daterange"


class Rate(models.Model):
    """Price per point for [from_day, until_day). `tenant` null = the default for every tenant billed in this currency."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, null=True, related_name="+")
    currency = models.CharField(max_length=3)
    price_per_point = models.DecimalField(max_digits=18, decimal_places=8)
    from_day = models.DateField()
    until_day = models.DateField(null=True)
    created_by = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(until_day__isnull=True) | Q(until_day__gt=F("from_day")), name="rate_has_days"
            ),
            models.CheckConstraint(condition=Q(price_per_point__gte=0), name="prices_are_never_negative"),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="rate_currency_is_iso_4217"),
            ExclusionConstraint(
                name="one_rate_per_tenant_currency_and_day",
                expressions=[
                    (Coalesce(Cast("tenant_id", TextField()), Value("default")), RangeOperators.EQUAL),
                    ("currency", RangeOperators.EQUAL),
                    (DayRange("from_day", "until_day"), RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.price_per_point} {self.currency} from {self.from_day}"
