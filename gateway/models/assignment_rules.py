"""Rules by which the operator assigns what nobody owned yet."""

from django.db import models
from django.db.models import Q

from gateway.models.mirror import Config, Program
from tenants import clock, ids


class AssignmentRule(models.Model):
    """What matches all criteria that are given is `tenant`'s; of several rules the first by (priority, id) counts.

    A criterion left out is null or "". `config_name` and `description` are glob patterns, `folder_path` is the beginning of a path.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    name = models.CharField(max_length=100)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")
    priority = models.IntegerField(default=100)
    account_id = models.BigIntegerField(null=True)
    program = models.ForeignKey(Program, on_delete=models.PROTECT, null=True, related_name="+")
    config = models.ForeignKey(Config, on_delete=models.PROTECT, null=True, related_name="+")
    config_name = models.CharField(max_length=200, default="", blank=True)
    folder_path = models.CharField(max_length=300, default="", blank=True)
    description = models.CharField(max_length=200, default="", blank=True)
    enabled = models.BooleanField(default=True)
    created_by = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [models.Index(fields=["priority", "id"], name="assignment_rules_in_order")]
        constraints = [
            models.UniqueConstraint(fields=["name"], name="one_assignment_rule_per_name"),
            models.CheckConstraint(
                condition=Q(account_id__isnull=False)
                | Q(program__isnull=False)
                | Q(config__isnull=False)
                | ~Q(config_name="")
                | ~Q(folder_path="")
                | ~Q(description=""),
                name="assignment_rule_has_a_criterion",
            ),
        ]

    def __str__(self) -> str:
        return self.name
