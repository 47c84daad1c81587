"""API tokens, and what a narrowed one reaches."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q

from tenants import clock, ids
from tenants.actors import Actor
from tenants.models.directory import Tenant


class TokenQuerySet(models.QuerySet["Token"]):
    def visible_to(self, actor: Actor) -> "TokenQuerySet":
        """Those of the actor's tenants; a narrowed token knows itself and what it made."""
        if actor.sees_every_tenant:
            return self
        # A tenant's role has no right to read the hash, or by which pepper it was made.
        mine = self.filter(tenant_id__in=actor.tenant_ids).defer("secret_hash", "pepper")
        if actor.reach is None:
            return mine
        return mine.filter(Q(id=actor.token_id) | Q(ancestors__contains=[actor.token_id]))


class Token(models.Model):
    """An API token. Only a keyed hash of the secret is stored; `pepper` names the key that made it.

    `family` is the first token that it goes back to, by making or by rotation: the whole family shares one rate.
    `ancestors` are the tokens that it was made with, the first one first: it dies with any of them. `narrowed` = its TokenReach
    rows are all that it sees; a narrowed token without rows sees nothing.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, related_name="tokens")
    name = models.CharField(max_length=100)
    scopes = ArrayField(models.CharField(max_length=40))
    secret_hash = models.BinaryField()
    pepper = models.CharField(max_length=20)
    allowed_ips = ArrayField(models.CharField(max_length=50), default=list)
    ancestors = ArrayField(models.UUIDField(), default=list)
    family = models.UUIDField(null=True)
    narrowed = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=100)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    last_used_from = models.CharField(max_length=45, default="", blank=True)

    objects = TokenQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "id"], name="token_by_tenant"),
            GinIndex(fields=["ancestors"], name="token_by_ancestor"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(tenant__isnull=True) | Q(expires_at__isnull=False), name="every_tenant_token_expires"
            ),
            models.CheckConstraint(
                condition=Q(tenant__isnull=False) | Q(narrowed=False, ancestors=[]), name="operator_tokens_are_roots"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


class TokenReach(models.Model):
    """One entitlement (by serial) or config (by id) that a narrowed token reaches. Named by text: no arrow upward."""

    class Kind(models.TextChoices):
        ENTITLEMENT = "entitlement"
        CONFIG = "config"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="reach")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    key = models.CharField(max_length=40)

    class Meta:
        indexes = [models.Index(fields=["tenant", "token"], name="token_reach_by_tenant")]
        constraints = [models.UniqueConstraint(fields=["token", "kind", "key"], name="one_row_per_token_and_name")]

    def __str__(self) -> str:
        return f"{self.token_id} reaches {self.kind} {self.key}"
