"""FortiCloud API users: credentials, URLs, limits; and the lane that lets one call at a time through to each."""

from django.db import models
from django.db.models import Q

from tenants import clock, ids


class ApiUser(models.Model):
    """One FortiCloud IAM API user. `tenant` set = it serves that tenant alone. The password is encrypted and bound to this row.

    `tags_follow` = descriptions upstream are brought in line with their owners in the background (gateway.tag_following).
    """

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    name = models.CharField(max_length=60, unique=True)
    username = models.CharField(max_length=200)
    password_encrypted = models.TextField()
    api_url = models.CharField(max_length=300)
    auth_url = models.CharField(max_length=300)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, null=True, related_name="+")
    per_minute = models.PositiveIntegerField(default=90)
    per_hour = models.PositiveIntegerField(default=900)
    errors_per_hour = models.PositiveIntegerField(default=9)
    enabled = models.BooleanField(default=True)
    tags_follow = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(per_minute__gte=1) & Q(per_hour__gte=1) & Q(errors_per_hour__gte=1),
                name="api_user_limits_are_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class UpstreamLane(models.Model):
    """The one lane to FortiFlex per API user: a lease, when the gate is closed, and the one live access token (encrypted).

    `failures` = calls in a row that FortiFlex did not answer.
    """

    api_user = models.OneToOneField(ApiUser, on_delete=models.CASCADE, primary_key=True, related_name="lane")
    holder = models.UUIDField(null=True)
    held_until = models.DateTimeField(null=True)
    closed_until = models.DateTimeField(null=True)
    closed_reason = models.CharField(max_length=100, default="", blank=True)
    access_token_encrypted = models.TextField(default="", blank=True)
    access_token_expires_at = models.DateTimeField(null=True)
    failures = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return f"lane of {self.api_user_id}"


class UpstreamTurn(models.Model):
    """Somebody waits for the lane. `standing`: 0 people, 1 reconciliation, 2 background. One that no longer looks (`alive_until`) is passed over."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    api_user = models.ForeignKey(ApiUser, on_delete=models.CASCADE, related_name="+")
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, null=True, related_name="+")
    standing = models.PositiveSmallIntegerField()
    alive_until = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["api_user", "standing"], name="turns_of_an_api_user")]

    def __str__(self) -> str:
        return f"turn {self.id}"


class UpstreamCall(models.Model):
    """One request put on the wire: what the limits count, and what a person looks at when something went wrong.

    Written when the lane is taken, `at` in the future until it is over: a process that dies under way has still used up its call.
    Every call writes two such rows and few are kept for long, so PostgreSQL looks up neither whose they are.
    """

    api_user = models.ForeignKey(
        ApiUser, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.CASCADE, null=True, related_name="+", db_index=False, db_constraint=False
    )
    at = models.DateTimeField()
    path = models.CharField(max_length=60)
    failed = models.BooleanField(default=False)
    outcome = models.CharField(max_length=40, default="", blank=True)
    http_status = models.PositiveSmallIntegerField(null=True)
    milliseconds = models.PositiveIntegerField(null=True)
    request_id = models.CharField(max_length=64, default="", blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["api_user", "at"], name="calls_in_a_window"),
            models.Index(
                fields=["api_user", "tenant", "at"], name="failed_calls_of_a_tenant", condition=models.Q(failed=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.path} {self.outcome}"
