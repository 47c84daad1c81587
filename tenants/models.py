"""Tenants, their tokens, and what is written down about every act: audit, events, leases."""

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


class TokenQuerySet(models.QuerySet["Token"]):
    def visible_to(self, actor: Actor) -> "TokenQuerySet":
        return self if actor.sees_every_tenant else self.filter(tenant_id__in=actor.tenant_ids)


class Token(models.Model):
    """An API token. Only a keyed hash of the secret is stored; `pepper` names the key that made it."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, related_name="tokens")
    name = models.CharField(max_length=100)
    scopes = ArrayField(models.CharField(max_length=40))
    secret_hash = models.BinaryField()
    pepper = models.CharField(max_length=20)
    allowed_ips = ArrayField(models.CharField(max_length=50), default=list)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=100)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    last_used_from = models.CharField(max_length=45, default="", blank=True)

    objects = TokenQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "id"], name="token_by_tenant")]
        constraints = [
            models.CheckConstraint(
                condition=Q(tenant__isnull=True) | Q(expires_at__isnull=False), name="every_tenant_token_expires"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


class AuditEntry(models.Model):
    """Who did what to which subject, in the transaction that did it. Subjects are named by type and text key: no arrow upward."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    at = models.DateTimeField(default=clock.now)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True)
    actor = models.CharField(max_length=100)
    action = models.CharField(max_length=60)
    subject_type = models.CharField(max_length=40)
    subject_key = models.CharField(max_length=100)
    request_id = models.CharField(max_length=64, default="", blank=True)
    before = ExactJSONField(null=True)
    after = ExactJSONField(null=True)

    class Meta:
        indexes = [models.Index(fields=["tenant", "id"], name="audit_by_tenant")]

    def __str__(self) -> str:
        return f"{self.action} {self.subject_type} {self.subject_key}"


class Event(models.Model):
    """Something that a tenant or the operator may want to react to. Positions are given after commit, by the sealer."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    at = models.DateTimeField(default=clock.now)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True)
    type = models.CharField(max_length=60)
    subject_type = models.CharField(max_length=40)
    subject_key = models.CharField(max_length=100)
    request_id = models.CharField(max_length=64, default="", blank=True)
    data = ExactJSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["tenant", "id"], name="event_by_tenant")]

    def __str__(self) -> str:
        return f"{self.type} {self.subject_key}"


class Lease(models.Model):
    """The right to do one named piece of work alone, for a while. A dead holder's lease runs out by itself."""

    name = models.CharField(max_length=100, primary_key=True)
    holder = models.UUIDField(null=True)
    held_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
