"""Short-lived access tokens, for clients of a vendor's API that log in with an id and a secret before they call."""

from django.db import models

from tenants import clock, ids
from tenants.models.tokens import Token


class SessionToken(models.Model):
    """One login with a Token: what it may be used with, and for how long. Everything else is the Token's, looked at on every use.

    Both values are kept as keyed hashes and found by them. `renewed_at` = the refresh token was used, `ended_at` = somebody revoked it.
    `login_id` is shared by a login and all that was renewed from it.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    token = models.ForeignKey(Token, on_delete=models.PROTECT, related_name="sessions")
    login_id = models.UUIDField(default=ids.new_id)
    access_hash = models.BinaryField(unique=True)
    access_expires_at = models.DateTimeField()
    refresh_hash = models.BinaryField(unique=True)
    refresh_expires_at = models.DateTimeField()
    created_at = models.DateTimeField(default=clock.now)
    renewed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["refresh_expires_at"], name="session_tokens_to_forget"),
            models.Index(fields=["login_id"], name="sessions_of_one_login"),
        ]

    def __str__(self) -> str:
        return f"session {self.id} of token {self.token_id}"
