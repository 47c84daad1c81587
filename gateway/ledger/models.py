"""The ledger: points per (billing day, serial, program), every answer that said so, and every correction."""

from django.db import models

from tenants import clock, ids
from tenants.jsonfields import ExactJSONField


class PointsFetch(models.Model):
    """One answer of entitlements/points, kept whole: request, time, zlib-compressed body and its SHA-256."""

    class Outcome(models.TextChoices):
        ANSWERED = "answered"
        REFUSED = "refused"  # an API error such as 400 "nothing consumed": neither zero nor a gap
        FAILED = "failed"  # time-out, cut-off, HTML

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    api_user = models.ForeignKey("gateway.ApiUser", on_delete=models.PROTECT, related_name="+")
    api_url = models.CharField(max_length=300)
    program_serial = models.CharField(max_length=32)
    account_id = models.BigIntegerField()
    asked_from = models.DateField()
    asked_to = models.DateField()
    purpose = models.CharField(max_length=12, choices=[("day", "day"), ("calibration", "calibration")])
    sent_at = models.DateTimeField()
    answered_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    http_status = models.PositiveSmallIntegerField(null=True)
    message = models.TextField(default="", blank=True)
    body = models.BinaryField()
    body_sha256 = models.CharField(max_length=64)
    row_count = models.PositiveIntegerField(default=0)
    total = models.DecimalField(max_digits=16, decimal_places=4, default=0)

    class Meta:
        indexes = [models.Index(fields=["program_serial", "account_id", "asked_from"], name="fetch_by_account_and_day")]

    def __str__(self) -> str:
        return f"{self.program_serial}/{self.account_id} {self.asked_from}..{self.asked_to} {self.outcome}"


class AccountDay(models.Model):
    """What is known of one (program, account, billing day). No row = the day is missing."""

    class State(models.TextChoices):
        ANSWERED = "answered"
        UNANSWERED = "unanswered"  # asked, refused or failed; asked again later
        UNCALIBRATED = "uncalibrated"  # answered, but whether endDate counts is not proven and it matters
        CONFLICT = "conflict"  # two accounts of one program both claim the same serial and day

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    program_serial = models.CharField(max_length=32)
    account_id = models.BigIntegerField()
    day = models.DateField()
    state = models.CharField(max_length=12, choices=State.choices)
    fetch = models.ForeignKey(PointsFetch, on_delete=models.PROTECT, related_name="+")
    total = models.DecimalField(max_digits=16, decimal_places=4, default=0)
    fetched_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["program_serial", "account_id", "day"], name="one_state_per_account_and_day"
            )
        ]
        indexes = [models.Index(fields=["day"], name="account_days_by_day")]

    def __str__(self) -> str:
        return f"{self.program_serial}/{self.account_id} {self.day} {self.state}"


class LedgerEntry(models.Model):
    """Points of one serial on one billing day. Partitioned by month of day; `tenant` null = unassigned, written by attribution alone."""

    pk = models.CompositePrimaryKey("day", "serial_number", "program_serial")
    day = models.DateField()
    serial_number = models.CharField(max_length=40)
    program_serial = models.CharField(max_length=32)
    account_id = models.BigIntegerField()
    points = models.DecimalField(max_digits=12, decimal_places=4)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, null=True, related_name="+")
    fetch = models.ForeignKey(PointsFetch, on_delete=models.PROTECT, related_name="+")

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "day", "serial_number"], name="ledger_by_tenant_and_day"),
            models.Index(fields=["serial_number", "day"], name="ledger_by_serial_and_day"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.serial_number} {self.points}"


class LedgerCorrection(models.Model):
    """FortiFlex changed its mind about a past day: what the ledger said before and after."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    day = models.DateField()
    serial_number = models.CharField(max_length=40)
    program_serial = models.CharField(max_length=32)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, null=True, related_name="+")
    old_points = models.DecimalField(max_digits=12, decimal_places=4)
    new_points = models.DecimalField(max_digits=12, decimal_places=4)
    old_fetch = models.ForeignKey(PointsFetch, on_delete=models.PROTECT, related_name="+")
    new_fetch = models.ForeignKey(PointsFetch, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [models.Index(fields=["tenant", "day"], name="correction_by_tenant")]

    def __str__(self) -> str:
        return f"{self.day} {self.serial_number} {self.old_points} -> {self.new_points}"


class EndDateCalibration(models.Model):
    """The finding, per API URL, whether `endDate` counts in entitlements/points, with its evidence. Findings are added, never changed."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    api_url = models.CharField(max_length=300)
    end_day_counts = models.BooleanField(null=True)  # null = contradictory evidence: billing stops
    evidence = ExactJSONField(default=dict)
    found_at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [models.Index(fields=["api_url", "-found_at"], name="newest_finding_per_api_url")]

    def __str__(self) -> str:
        return f"{self.api_url}: endDate counts = {self.end_day_counts}"
