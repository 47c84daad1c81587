"""The one live FortiFlex access token of an API user, shared by all processes: encrypted in its lane row, with its expiry."""

from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from gateway.fortiflex.auth import RENEW_BEFORE, AccessToken, log_in
from gateway.models import ApiUser, UpstreamLane
from tenants import clock
from tenants.actors import system
from tenants.context import acting_as
from tenants.secrets import SecretUnreadable, decrypt_text, encrypt_text

KEEPER = system("access tokens")


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """Reads and renews tokens. Only the holder of the lane calls `log_in`, so a token is never fetched twice at the same time."""

    transport: httpx.BaseTransport

    def read(self, lane: UpstreamLane) -> str | None:
        """The token that `lane` holds, if it lives long enough for another call."""
        if lane.access_token_expires_at is None or clock.now() >= lane.access_token_expires_at - RENEW_BEFORE:
            return None
        try:
            return decrypt_text(lane.access_token_encrypted, bound_to=f"lane:{lane.api_user_id}:access_token")
        except SecretUnreadable:
            return None  # its key was retired: a token can be had again

    def log_in(self, api_user: ApiUser, *, seconds: float) -> str:
        """Fetch a new token, which ends the one before, and store it for everybody. Errors of fortiflex.auth.log_in."""
        with acting_as(KEEPER):
            api_user = ApiUser.objects.get(pk=api_user.pk)  # the password may have been changed since this work began
        password = decrypt_text(api_user.password_encrypted, bound_to=f"api_user:{api_user.id}:password")
        token = log_in(
            self.transport, api_user.auth_url, username=api_user.username, password=password, seconds=seconds
        )
        self.keep(api_user, token)
        return token.value

    def keep(self, api_user: ApiUser, token: AccessToken) -> None:
        """`token` is the live one from now on."""
        life = token.expires_at - _real_now()
        sealed = encrypt_text(token.value, bound_to=f"lane:{api_user.id}:access_token")
        with acting_as(KEEPER):
            UpstreamLane.objects.filter(api_user=api_user).update(
                access_token_encrypted=sealed, access_token_expires_at=clock.now() + life
            )


def _real_now() -> datetime:
    return datetime.now(UTC)


def forget_token(api_user: ApiUser) -> None:
    """The stored token is of no use any more: credentials or URLs changed."""
    with acting_as(KEEPER):
        lane = UpstreamLane.objects.filter(api_user=api_user)
        lane.update(access_token_encrypted="", access_token_expires_at=None)
        # A new password opens what the old one had closed, and nothing that FortiFlex closed itself.
        lane.filter(closed_reason__startswith="login:").update(closed_until=None, closed_reason="")
