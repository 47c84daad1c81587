"""Issued documents. They copy all they print and point outward only to the tenant; triggers in the database freeze them."""

from django.db import models
from django.db.models import Q

from tenants import clock, ids
from tenants.actors import Actor
from tenants.jsonfields import ExactJSONField


class Series(models.Model):
    """A tenant's own numbers, gapless per year, and the hash of its last document. Locked while a number is given."""

    tenant = models.OneToOneField("tenants.Tenant", on_delete=models.PROTECT, primary_key=True, related_name="+")
    year = models.PositiveSmallIntegerField()
    last_number = models.PositiveIntegerField(default=0)
    last_hash = models.CharField(max_length=64, default="", blank=True)

    def __str__(self) -> str:
        return f"series of {self.tenant_id}: {self.year}-{self.last_number:04}"


class StatementRun(models.Model):
    """One run of issue_statements: its fixed issue time, the conservation check, who got what, and the head of every series."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    month = models.CharField(max_length=7)
    issued_at = models.DateTimeField()
    asked_by = models.CharField(max_length=100)
    conservation = ExactJSONField(default=dict)
    manifest = ExactJSONField(default=dict)
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"run {self.month} {self.id}"


class StatementQuerySet(models.QuerySet["Statement"]):
    def visible_to(self, actor: Actor) -> "StatementQuerySet":
        return self if actor.sees_every_tenant else self.filter(tenant_id__in=actor.tenant_ids)


class Statement(models.Model):
    """A document. It is a draft only inside the transaction that issues it; from then on the database refuses every change."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")
    run = models.ForeignKey(StatementRun, on_delete=models.PROTECT, related_name="statements")
    number = models.CharField(max_length=60, unique=True)
    kind = models.CharField(
        max_length=12, choices=[("statement", "statement"), ("credit_note", "credit note")], default="statement"
    )
    status = models.CharField(max_length=8, choices=[("draft", "draft"), ("issued", "issued")], default="draft")
    period_from = models.DateField()
    period_to = models.DateField()
    currency = models.CharField(max_length=3)
    issued_at = models.DateTimeField()
    due_on = models.DateField()
    seller = ExactJSONField(default=dict)
    buyer = ExactJSONField(default=dict)
    references = ExactJSONField(default=list)
    rounding_rule = models.CharField(max_length=300)
    net = models.DecimalField(max_digits=16, decimal_places=4)
    taxes = ExactJSONField(default=list)
    total = models.DecimalField(max_digits=16, decimal_places=4)
    hash = models.CharField(max_length=64)
    previous_hash = models.CharField(max_length=64, default="", blank=True)

    objects = StatementQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "number"], name="statement_by_tenant")]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "period_from", "kind"],
                condition=Q(kind="statement"),
                name="one_statement_per_tenant_and_month",
            ),
            models.CheckConstraint(condition=Q(total__gte=0), name="no_total_is_negative"),
        ]

    def __str__(self) -> str:
        return self.number


class StatementLine(models.Model):
    """One printed line. `days` counts the days with points; amount = quantity × unit price, rounded once, half up."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="lines")
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=20, default="usage")
    serial_number = models.CharField(max_length=40, default="", blank=True)
    config_id = models.BigIntegerField(null=True)
    product = models.CharField(max_length=200, default="", blank=True)
    description = models.TextField(default="", blank=True)
    quantity = models.DecimalField(max_digits=16, decimal_places=4)
    unit = models.CharField(max_length=20)
    days = models.PositiveSmallIntegerField()
    points = models.DecimalField(max_digits=16, decimal_places=4)
    unit_price = models.DecimalField(max_digits=18, decimal_places=8)
    amount = models.DecimalField(max_digits=16, decimal_places=4)
    tax_category = models.CharField(max_length=5)
    service_from = models.DateField()
    service_to = models.DateField()

    class Meta:
        indexes = [models.Index(fields=["tenant", "statement"], name="line_by_tenant")]
        constraints = [models.UniqueConstraint(fields=["statement", "position"], name="one_line_per_position")]

    def __str__(self) -> str:
        return f"{self.statement_id} line {self.position}"
