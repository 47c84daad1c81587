"""The mirror: our copy of FortiFlex's programs, configs and entitlements. Reads are answered from here and never call upstream."""

from django.db import models
from django.db.models import Q

from gateway.models.api_users import ApiUser
from tenants import clock, ids
from tenants.actors import Actor
from tenants.jsonfields import ExactJSONField


class Program(models.Model):
    """A FortiFlex program. Key: Fortinet's serial (ELAVMS… postpaid, ELAVMR… prepaid; the prefix is a hint, never validated hard)."""

    serial_number = models.CharField(max_length=32, primary_key=True)
    account_id = models.BigIntegerField()
    start_day = models.DateField(null=True)
    end_day = models.DateField(null=True)
    has_support_coverage = models.BooleanField(default=False)
    point_balance = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    balance_at = models.DateTimeField(null=True)
    entered_by_hand = models.BooleanField(default=False)
    first_seen_at = models.DateTimeField(default=clock.now)
    raw = ExactJSONField(default=dict)

    def __str__(self) -> str:
        return self.serial_number

    @property
    def is_prepaid(self) -> bool:
        return self.serial_number.startswith("ELAVMR")


class ProgramAccount(models.Model):
    """One (program, account): read through exactly one API user. `mirrored_at` is when its last complete list was asked for."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="accounts")
    account_id = models.BigIntegerField()
    api_user = models.ForeignKey(ApiUser, on_delete=models.PROTECT, related_name="program_accounts")
    entered_by_hand = models.BooleanField(default=False)
    mirrored_at = models.DateTimeField(null=True)
    first_seen_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["program", "account_id"], name="one_api_user_per_program_and_account")
        ]

    def __str__(self) -> str:
        return f"{self.program_id}/{self.account_id}"


class Refusal(models.Model):
    """What FortiFlex would not answer an API user lately: asked last, and not before `ask_again_at`. The next answer removes it.

    `account_id` 0 = the call is about the whole program; `program_serial` "" = about neither.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    api_user = models.ForeignKey(ApiUser, on_delete=models.CASCADE, related_name="+")
    call = models.CharField(max_length=40)
    program_serial = models.CharField(max_length=32, default="", blank=True)
    account_id = models.BigIntegerField(default=0)
    reason = models.CharField(max_length=300)
    times = models.PositiveIntegerField(default=1)
    refused_at = models.DateTimeField(default=clock.now)
    ask_again_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["api_user", "call", "program_serial", "account_id"], name="one_refusal_per_question"
            )
        ]

    def __str__(self) -> str:
        return f"{self.call} {self.program_serial}/{self.account_id}: {self.reason}"


class ConfigQuerySet(models.QuerySet["Config"]):
    def visible_to(self, actor: Actor) -> "ConfigQuerySet":
        """Own configs, those offered to the actor's tenants, and those under their entitlements; a narrowed token's are those it names."""
        if actor.sees_every_tenant:
            return self
        mine = Q(tenant_id__in=actor.tenant_ids)
        offered = Q(id__in=ConfigOffer.objects.filter(tenant_id__in=actor.tenant_ids).values("config_id"))
        in_use = Q(id__in=Entitlement.objects.filter(tenant_id__in=actor.tenant_ids).values("config_id"))
        found = self.filter(mine | offered | in_use)
        return found if actor.reach is None else found.filter(id__in=actor.reach.configs)


class Config(models.Model):
    """A product and size. Key: Fortinet's id. `tenant` null = the operator's catalogue; `name` is without our suffix.

    `points_per_day` is asked for when somebody needs it; `price_refused_at` = when FortiFlex would not say.
    """

    id = models.BigIntegerField(primary_key=True)
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="configs")
    account_id = models.BigIntegerField()
    name = models.CharField(max_length=255)
    upstream_name = models.CharField(max_length=300)
    status = models.CharField(max_length=20)
    product_type_id = models.IntegerField()
    product = models.CharField(max_length=200)
    parameters = ExactJSONField(default=list)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, null=True, related_name="+")
    points_per_day = models.DecimalField(max_digits=12, decimal_places=4, null=True)
    price_refused_at = models.DateTimeField(null=True)
    first_seen_at = models.DateTimeField(default=clock.now)
    vanished_at = models.DateTimeField(null=True)
    raw = ExactJSONField(default=dict)

    objects = ConfigQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "id"], name="config_by_tenant")]

    def __str__(self) -> str:
        return f"{self.id} {self.name}"


class ConfigOffer(models.Model):
    """The operator lets this tenant use this config, which stays the operator's."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    config = models.ForeignKey(Config, on_delete=models.CASCADE, related_name="offers")
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [models.Index(fields=["tenant", "config"], name="offer_by_tenant")]
        constraints = [models.UniqueConstraint(fields=["config", "tenant"], name="one_offer_per_config_and_tenant")]

    def __str__(self) -> str:
        return f"{self.config_id} to {self.tenant_id}"


class EntitlementQuerySet(models.QuerySet["Entitlement"]):
    def visible_to(self, actor: Actor) -> "EntitlementQuerySet":
        if actor.sees_every_tenant:
            return self
        mine = self.filter(tenant_id__in=actor.tenant_ids)
        if actor.reach is None:
            return mine
        return mine.filter(Q(serial_number__in=actor.reach.entitlements) | Q(config_id__in=actor.reach.configs))


class Entitlement(models.Model):
    """A licence with a serial number. `tenant` is today's owner (null = unassigned), written only by the assignment verbs.

    `description` is the user's own text, `upstream_description` what FortiFlex holds (text plus our tag). `proposed_tenant` is the slug
    that a valid tag names where the database knows no owner. `raw` is FortiFlex's record without the licence token. `missed_at`: its
    account's list of then lacked it, and it may have moved; `vanished_at`: every other account was read since, and none has it.
    """

    serial_number = models.CharField(max_length=40, primary_key=True)
    program = models.ForeignKey(Program, on_delete=models.PROTECT, related_name="entitlements", db_index=False)
    account_id = models.BigIntegerField()
    config = models.ForeignKey(Config, on_delete=models.PROTECT, related_name="entitlements")
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    description = models.TextField(default="", blank=True)
    upstream_description = models.TextField(default="", blank=True)
    proposed_tenant = models.CharField(max_length=40, default="", blank=True)
    status = models.CharField(max_length=20)
    start_day = models.DateField(null=True)
    end_day = models.DateField(null=True)
    token = models.CharField(max_length=60, default="", blank=True)
    token_status = models.CharField(max_length=20, default="", blank=True)
    folder_path = models.CharField(max_length=300, default="", blank=True)
    labels = ExactJSONField(default=dict)
    operator_labels = ExactJSONField(default=dict)
    first_seen_at = models.DateTimeField(default=clock.now)
    missed_at = models.DateTimeField(null=True)
    vanished_at = models.DateTimeField(null=True)
    raw = ExactJSONField(default=dict)

    objects = EntitlementQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "serial_number"], name="entitlement_by_tenant"),
            models.Index(fields=["program", "account_id"], name="entitlement_by_account"),
            # The walls ask of a config and of an account whether a tenant owns anything there (gateway.rights.owns_one_of).
            models.Index(fields=["tenant", "config"], name="entitlement_by_tenant_config"),
            models.Index(fields=["tenant", "program", "account_id"], name="entitlement_by_tenant_account"),
            models.Index(
                fields=["missed_at"],
                condition=Q(missed_at__isnull=False, vanished_at__isnull=True),
                name="entitlement_missed",
            ),
        ]

    def __str__(self) -> str:
        return self.serial_number
