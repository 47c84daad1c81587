"""The journal of upstream writes: what was meant, what was sent, what came of it."""

from collections.abc import Iterable, Sequence

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import KT

from gateway.models.api_users import ApiUser
from gateway.models.mirror import Config, Entitlement
from tenants import clock, ids
from tenants.actors import Actor
from tenants.jsonfields import ExactJSONField


class OperationQuerySet(models.QuerySet["Operation"]):
    def visible_to(self, actor: Actor) -> "OperationQuerySet":
        """A narrowed token sees a write if all its serials are named, or its config is."""
        if actor.sees_every_tenant:
            return self
        mine = self.filter(tenant_id__in=actor.tenant_ids)
        if actor.reach is None:
            return mine
        serials = Q(serial_numbers__contained_by=sorted(actor.reach.entitlements)) & ~Q(serial_numbers=[])
        return mine.filter(serials | Q(config_id__in=actor.reach.configs))

    def following(self, first_ids: Iterable[str]) -> "OperationQuerySet":
        """What was planned to follow these by itself; by index, which a tenant's role can't use."""
        named = self.filter(intent__has_key="follows").alias(followed=KT("intent__follows"))
        return named.filter(followed__in=first_ids)


class Operation(models.Model):
    """One upstream write, committed before anything is sent.

    planned → sent → succeeded | failed | unknown; unknown → succeeded | failed by reconciliation, from evidence only.
    `points_per_day` = how many more it costs, as far as anybody knows: of a creation always, of other changes where a limit decides.
    `deferred` = a planned one waits for the worker; else whoever planned it sends it at once. `intent` is what the caller asked for
    (checked), `before` what was there when it was sent, `evidence` what settled it,
    `error` {"code", "detail", "upstream"} (`upstream` is FortiFlex's own text: for the operator's eyes).
    `repeat_key` is shared by identical requests of a client that has no idempotency keys: somebody waits for the answer until
    `waited_until`, and a success was given to one request at `handed_at`. `background` = goes after what people wait for.
    """

    class Kind(models.TextChoices):
        CREATE_VM = "create_vm"
        CREATE_HARDWARE = "create_hardware"
        CREATE_CLOUD = "create_cloud"
        UPDATE_ENTITLEMENT = "update_entitlement"
        STOP = "stop"
        REACTIVATE = "reactivate"
        RENEW_TOKEN = "renew_token"  # noqa: S105 - the name of an operation
        CREATE_CONFIG = "create_config"
        UPDATE_CONFIG = "update_config"
        ENABLE_CONFIG = "enable_config"
        DISABLE_CONFIG = "disable_config"
        TRANSFER = "transfer"
        REMOVE_HARDWARE = "remove_hardware"

    class State(models.TextChoices):
        PLANNED = "planned"
        SENT = "sent"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        UNKNOWN = "unknown"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PLANNED)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    api_user = models.ForeignKey(ApiUser, on_delete=models.PROTECT, related_name="+", db_index=False)
    program_serial = models.CharField(max_length=32)
    account_id = models.BigIntegerField()
    config_id = models.BigIntegerField(null=True)
    serial_numbers = ArrayField(models.CharField(max_length=40), default=list)
    intent = ExactJSONField(default=dict)
    before = ExactJSONField(default=dict)
    evidence = ExactJSONField(default=list)
    error = ExactJSONField(null=True)
    points_per_day = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    asked_by = models.CharField(max_length=100)
    request_id = models.CharField(max_length=64, default="", blank=True)
    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001 - null = none given, "" is refused
    fingerprint = models.CharField(max_length=64, default="", blank=True)
    created_at = models.DateTimeField(default=clock.now)
    sent_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)
    deferred = models.BooleanField(default=False)
    background = models.BooleanField(default=False)
    repeat_key = models.CharField(max_length=64, default="", blank=True)
    waited_until = models.DateTimeField(null=True)
    handed_at = models.DateTimeField(null=True)

    objects = OperationQuerySet.as_manager()
    loaded_config: Config | None = None  # the config's row, where whoever planned this had it in hand
    made: Sequence[Entitlement] | None = None  # their rows, where whoever settled this has just written them

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "id"], name="operation_by_tenant"),
            models.Index(
                fields=["next_check_at"], name="operations_to_settle", condition=Q(state__in=["sent", "unknown"])
            ),
            models.Index(
                fields=["api_user", "tenant", "id"], name="operations_in_the_queue", condition=Q(state="planned")
            ),
            models.Index(fields=["repeat_key", "id"], name="operations_of_one_request", condition=~Q(repeat_key="")),
            GinIndex(fields=["serial_numbers"], name="operations_of_a_serial"),
            models.Index(
                fields=["config_id", "id"],
                name="changes_of_a_config",
                condition=Q(kind__in=["update_config", "enable_config", "disable_config"]),
            ),
            models.Index(KT("intent__follows"), name="operations_that_follow", condition=Q(intent__has_key="follows")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["planned", "sent", "succeeded", "failed", "unknown"]),
                name="operation_state_is_known",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["succeeded", "failed"], settled_at__isnull=False)
                | Q(state__in=["planned", "sent", "unknown"], settled_at__isnull=True),
                name="settled_operations_say_when",
            ),
            models.CheckConstraint(
                condition=Q(state="planned") | Q(state="failed") | Q(sent_at__isnull=False),
                name="sent_operations_say_when",
            ),
            models.UniqueConstraint(
                fields=["tenant", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                nulls_distinct=False,
                name="one_operation_per_tenant_and_idempotency_key",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id} {self.state}"

    def has_its_neighbours(self) -> bool:
        """Whether tenant and API user are loaded: outside of a context they can't be any more."""
        return Operation.api_user.is_cached(self) and (self.tenant_id is None or Operation.tenant.is_cached(self))


class Attempt(models.Model):
    """One sending of an operation, with its own tag. An attempt is never sent twice. `answer`: zlib of the body, licence tokens masked."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    operation = models.ForeignKey(Operation, on_delete=models.PROTECT, related_name="attempts", db_index=False)
    # The operation's, whose tenant PostgreSQL has looked up.
    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False
    )
    number = models.PositiveSmallIntegerField()
    tag = models.CharField(max_length=120, default="", blank=True)
    request = ExactJSONField(default=dict)
    sent_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=30, default="", blank=True)
    http_status = models.PositiveSmallIntegerField(null=True)
    answer = models.BinaryField(null=True)

    class Meta:
        ordering = [F("number").asc()]
        indexes = [models.Index(fields=["tenant", "operation"], name="attempt_by_tenant")]
        constraints = [models.UniqueConstraint(fields=["operation", "number"], name="one_row_per_attempt")]

    def __str__(self) -> str:
        return f"{self.operation_id} attempt {self.number}"
