"""Tenants: the customers of the operator."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from tenants import clock, ids
from tenants.actors import Actor
from tenants.jsonfields import ExactJSONField

SLUG = RegexValidator(
    r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$", "Use 1 to 40 lower-case letters, digits and inner hyphens."
)
CURRENCY = RegexValidator(r"^[A-Z]{3}$", "Use the three capital letters of ISO 4217, such as EUR.")


class TenantQuerySet(models.QuerySet["Tenant"]):
    def visible_to(self, actor: Actor) -> "TenantQuerySet":
        return self if actor.sees_every_tenant else self.filter(id__in=actor.tenant_ids)


class Tenant(models.Model):
    """A customer of the operator. The slug never changes: it stands in tags, statement numbers and URLs.

    `programs` and `account_ids` are what the tenant may use; null = what gateway.reach finds for it.
    `billing_profile`: {"name", "address": [lines], "email", "tax_id", "payment_days", "tax": {"category", "rate", "reason"}}.
    """

    class Status(models.TextChoices):
        ACTIVE = "active"
        SUSPENDED = "suspended"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    slug = models.CharField(max_length=40, unique=True, validators=[SLUG])
    name = models.CharField(max_length=200)
    currency = models.CharField(max_length=3, validators=[CURRENCY])
    customer_code = models.CharField(max_length=100, blank=True, default="")
    internal = models.BooleanField(default=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    billing_profile = ExactJSONField(default=dict)
    programs = ArrayField(models.CharField(max_length=32), null=True, default=None)
    account_ids = ArrayField(models.BigIntegerField(), null=True, default=None)
    limits = ExactJSONField(default=dict)
    created_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet.as_manager()

    class Meta:
        # Beside Django's own view_tenant: what staff may be granted on one tenant (tenants.access).
        permissions = [
            ("provision_tenant", "Can provision for the tenant"),
            ("bill_tenant", "Can see and handle the tenant's money"),
            ("administer_tenant", "Can administer the tenant's tokens"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["active", "suspended"]), name="tenant_is_active_or_suspended"
            ),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="tenant_currency_is_iso_4217"),
            models.CheckConstraint(
                condition=Q(slug__regex=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"), name="tenant_slug_is_plain"
            ),
        ]

    def __str__(self) -> str:
        return self.slug
