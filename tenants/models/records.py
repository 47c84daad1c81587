"""What is written down about every act: audit entries and events, append-only; and the order that the sealer gives them after commit."""

from typing import TypeVar
from uuid import UUID

from django.db import models

from tenants import clock, ids
from tenants.actors import Actor
from tenants.append_only import AppendOnly
from tenants.jsonfields import ExactJSONField
from tenants.models.directory import Tenant

Record = TypeVar("Record", bound=models.Model)


class RecordQuerySet(models.QuerySet[Record]):
    def visible_to(self, actor: Actor) -> "RecordQuerySet[Record]":
        return self if actor.sees_every_tenant else self.filter(tenant_id__in=actor.tenant_ids)

    def of_chain(self, tenant_id: UUID | None) -> "RecordQuerySet[Record]":
        """One tenant's rows; None = the operator's own."""
        return self.filter(tenant__isnull=True) if tenant_id is None else self.filter(tenant_id=tenant_id)


class AuditEntry(AppendOnly, models.Model):
    """Who did what to which subject, from where, in the transaction that did it. Subjects are named by type and text key: no arrow upward."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    at = models.DateTimeField(default=clock.now)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, db_index=False)
    actor = models.CharField(max_length=100)
    address = models.CharField(max_length=45, blank=True, default="")
    action = models.CharField(max_length=60)
    subject_type = models.CharField(max_length=40)
    subject_key = models.CharField(max_length=100)
    request_id = models.CharField(max_length=64, blank=True, default="")
    before = ExactJSONField(null=True)
    after = ExactJSONField(null=True)

    objects = RecordQuerySet["AuditEntry"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "id"], name="audit_by_tenant")]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} {self.subject_type} {self.subject_key}"


class AuditSeal(models.Model):
    """The place of one audit entry in its tenant's chain (null = the operator's own). `hash` covers the entry and `previous_hash`,
    keyed by FLEXGATE_AUDIT_KEYS. The entry is named without a foreign key, so that its removal shows.
    """

    entry_id = models.UUIDField(primary_key=True)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, related_name="+")
    position = models.BigIntegerField()
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    key_id = models.CharField(max_length=20)
    sealed_at = models.DateTimeField(default=clock.now)

    objects = RecordQuerySet["AuditSeal"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "position"], nulls_distinct=False, name="one_entry_per_place_in_the_chain"
            ),
            models.CheckConstraint(condition=models.Q(position__gte=1), name="chains_begin_at_one"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.position}"


class AuditHead(models.Model):
    """A chain's head as it was told to the outside (a log line, an event): what a cut tail can't take back."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, related_name="+")
    position = models.BigIntegerField()
    hash = models.CharField(max_length=64)
    told_at = models.DateTimeField(default=clock.now)

    objects = RecordQuerySet["AuditHead"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "position"], name="audit_head_by_tenant")]

    def __str__(self) -> str:
        return f"head of {self.tenant_id} at {self.position}"


class Event(AppendOnly, models.Model):
    """Something that a tenant or the operator may want to react to. Its position is given after commit, by the sealer."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    at = models.DateTimeField(default=clock.now)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, db_index=False)
    type = models.CharField(max_length=60)
    subject_type = models.CharField(max_length=40)
    subject_key = models.CharField(max_length=100)
    request_id = models.CharField(max_length=64, blank=True, default="")
    data = ExactJSONField(default=dict)

    objects = RecordQuerySet["Event"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "id"], name="event_by_tenant")]

    def __str__(self) -> str:
        return f"{self.type} {self.subject_key}"


class EventPosition(models.Model):
    """Where an event stands in its tenant's feed, and in the operator's, which has all. Both are gapless and never change."""

    event = models.OneToOneField(Event, on_delete=models.PROTECT, primary_key=True, related_name="place")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, related_name="+")
    position = models.BigIntegerField()
    operator_position = models.BigIntegerField(unique=True)

    objects = RecordQuerySet["EventPosition"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "position"], nulls_distinct=False, name="one_event_per_place_in_the_feed"
            )
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.position}"


class Unsealed(models.Model):
    """What waits for the sealer. A trigger writes the row with the record itself, whoever wrote that."""

    subject_id = models.UUIDField(primary_key=True)
    kind = models.CharField(max_length=5, choices=[("audit", "audit"), ("event", "event")])

    class Meta:
        indexes = [models.Index(fields=["kind", "subject_id"], name="unsealed_by_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id}"
