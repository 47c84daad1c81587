"""The token endpoint (FortiFlex API reference, 1.1 to 1.9): log in, refresh, revoke. One API user has one live token."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from gateway.fortiflex.errors import LoginFailed, LoginRefused, NotSent, OutcomeUnknown
from gateway.fortiflex.exchanging import exchange
from gateway.fortiflex.wire import UnreadableError, decode_object, encode_object

CLIENT_ID = "flexvm"
DEFAULT_LIFE = 3660  # seconds; what the endpoint answers for flexvm
LONGEST_LIFE = 86_400  # more than any FortiCloud portal was seen to give
RENEW_BEFORE = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class AccessToken:
    value: str = field(repr=False)
    expires_at: datetime
    refresh_token: str | None = field(default=None, repr=False)

    def is_old(self) -> bool:
        """True shortly before it expires: a call must not outlive it."""
        return datetime.now(UTC) >= self.expires_at - RENEW_BEFORE


def log_in(
    transport: httpx.BaseTransport,
    auth_url: str,
    *,
    username: str,
    password: str,
    client_id: str = CLIENT_ID,
    seconds: float = 30,
) -> AccessToken:
    """Password grant. LoginRefused for wrong credentials; NotSent or LoginFailed if the endpoint can't be reached or read: nothing is changed."""
    fields = {"username": username, "password": password, "client_id": client_id, "grant_type": "password"}
    return _read_token(_post(transport, auth_url, fields, seconds=seconds))


def refresh_token(
    transport: httpx.BaseTransport, auth_url: str, *, token: str, client_id: str = CLIENT_ID, seconds: float = 30
) -> AccessToken:
    """Refresh grant. Documented for sister portals, observed for flexvm; the refresh token's own life is unknown."""
    fields = {"client_id": client_id, "grant_type": "refresh_token", "refresh_token": token}
    return _read_token(_post(transport, auth_url, fields, seconds=seconds))


def revoke_token(
    transport: httpx.BaseTransport, auth_url: str, *, token: str, client_id: str = CLIENT_ID, seconds: float = 30
) -> None:
    """Revoke, at `revoke_token/` beside the token URL [inferred for flexvm]."""
    base = auth_url.rstrip("/").rpartition("/")[0]
    _post(transport, f"{base}/revoke_token/", {"client_id": client_id, "token": token}, seconds=seconds)


def _post(transport: httpx.BaseTransport, url: str, fields: dict[str, str], *, seconds: float) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    try:
        made, _ = exchange(transport, url, path="oauth", body=encode_object(fields), headers=headers, seconds=seconds)
    except (NotSent, OutcomeUnknown) as error:
        # The exchange holds the password: neither it nor the error that carries it may travel on.
        raise (NotSent if isinstance(error, NotSent) else LoginFailed)(
            f"The login did not come through: {error}"
        ) from None
    http_status = made.http_status or 0
    if 300 <= http_status < 400:
        raise LoginRefused("The token URL redirects; enter it whole, with its trailing slash.")
    try:
        answer = decode_object(made.body) if made.body.strip() else {}
    except UnreadableError as error:
        raise LoginFailed(f"The token endpoint answered HTTP {http_status} and no JSON.") from error
    if http_status in {400, 401, 403} or (http_status == 200 and answer.get("error")):
        said = str(
            answer.get("error_description") or answer.get("message") or answer.get("error") or f"HTTP {http_status}"
        )
        raise LoginRefused(f"The login was refused: {said}")
    if http_status != 200:
        raise LoginFailed(f"The token endpoint answered HTTP {http_status}.")
    return answer


def _read_token(answer: dict[str, Any]) -> AccessToken:
    value = answer.get("access_token")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value:
        raise LoginFailed("The token endpoint answered without an access token.")
    life = answer.get("expires_in")
    seconds = DEFAULT_LIFE
    if isinstance(life, int) and not isinstance(life, bool) and 0 < life <= LONGEST_LIFE:
        seconds = life
    again = answer.get("refresh_token")
    return AccessToken(value, datetime.now(UTC) + timedelta(seconds=seconds), again if isinstance(again, str) else None)
