"""What requests with an Idempotency-Key led to."""

from django.db import models

from tenants import clock, ids
from tenants.models.directory import Tenant


class UsedKey(models.Model):
    """One key and the thing that it made, named by type and text key: no arrow upward. Written with that thing, or not at all.

    `tenant` None = the operator's. `key` is a digest that tells apart who may share a key, `fingerprint` a keyed hash of the path and body
    that it came with. `asked_with` is the token that asked, if one did: a narrowed one finds its own keys alone.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    key = models.CharField(max_length=64)
    fingerprint = models.BinaryField()
    subject_type = models.CharField(max_length=40)
    subject_key = models.CharField(max_length=100)
    asked_with = models.UUIDField(null=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="used_keys_to_forget")]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "key"], nulls_distinct=False, name="one_thing_per_tenant_and_idempotency_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.subject_type} {self.subject_key} by key"
