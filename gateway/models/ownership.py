"""Whose a serial was on which billing day (assignments), and where it stood (placements). Days: from inclusive, until exclusive."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, Q

from gateway.models.mirror import Entitlement
from tenants import clock, ids
from tenants.actors import Actor
from tenants.jsonfields import ExactJSONField


class DayRange(Func):
    """daterange(from_day, until_day): PostgreSQL's default bounds are exactly ours."""

    function = "daterange"


class AssignmentQuerySet(models.QuerySet["Assignment"]):
    def visible_to(self, actor: Actor) -> "AssignmentQuerySet":
        if actor.sees_every_tenant:
            return self
        mine = self.filter(tenant_id__in=actor.tenant_ids)
        if actor.reach is None:
            return mine
        under = Entitlement.objects.visible_to(actor).values("serial_number")
        return mine.filter(Q(serial_number__in=actor.reach.entitlements) | Q(serial_number__in=under))


class Assignment(models.Model):
    """Tenant owns serial for [from_day, until_day). `description` and `labels` belong to this period of ownership."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    serial_number = models.CharField(max_length=40)
    from_day = models.DateField()
    until_day = models.DateField(null=True)
    description = models.TextField(default="", blank=True)
    labels = ExactJSONField(default=dict)
    operation_id = models.UUIDField(null=True)
    created_by = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=clock.now)

    objects = AssignmentQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "serial_number"], name="assignment_by_tenant"),
            models.Index(fields=["serial_number", "from_day"], name="assignment_by_serial"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(until_day__isnull=True) | Q(until_day__gt=F("from_day")), name="assignment_has_days"
            ),
            ExclusionConstraint(
                name="one_owner_per_serial_and_day",
                expressions=[
                    ("serial_number", RangeOperators.EQUAL),
                    (DayRange("from_day", "until_day"), RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.serial_number} from {self.from_day}"


class Placement(models.Model):
    """Serial stood in this account, config and product, with these labels, for [from_day, until_day). `assumed` = from before we knew."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    serial_number = models.CharField(max_length=40)
    program_serial = models.CharField(max_length=32)
    account_id = models.BigIntegerField()
    config_id = models.BigIntegerField()
    config_name = models.CharField(max_length=255)
    product_type_id = models.IntegerField()
    product = models.CharField(max_length=200)
    labels = ExactJSONField(default=dict)
    operator_labels = ExactJSONField(default=dict)
    from_day = models.DateField()
    until_day = models.DateField(null=True)
    assumed = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["serial_number", "from_day"], name="placement_by_serial")]
        constraints = [
            models.CheckConstraint(
                condition=Q(until_day__isnull=True) | Q(until_day__gt=F("from_day")), name="placement_has_days"
            ),
            ExclusionConstraint(
                name="one_place_per_serial_and_day",
                expressions=[
                    ("serial_number", RangeOperators.EQUAL),
                    (DayRange("from_day", "until_day"), RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.serial_number} in {self.config_id} from {self.from_day}"
