"""The token endpoint (FortiFlex API reference, section 1): password and refresh grant, revoke, one live token per API user."""

import hmac
import secrets
import string
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from gateway.sandbox.refusals import SECURITY_TOKEN, Refusal
from gateway.sandbox.settings import SandboxSettings
from gateway.sandbox.world import ApiUser, World

LETTERS = string.ascii_letters + string.digits


def answer_login(
    world: World, body: Mapping[str, Any], now: datetime, settings: SandboxSettings
) -> tuple[int, dict[str, Any]]:
    """HTTP code and body of a token request. A new token ends the one before."""
    if body.get("client_id") != "flexvm":
        return _refused("invalid_client", "Invalid client.")
    if body.get("grant_type") == "password":
        user = next((item for item in world.api_users if item.username == body.get("username")), None)
        if user is None or not hmac.compare_digest(user.password.encode(), str(body.get("password", "")).encode()):
            return _refused("invalid_grant", "Invalid credentials given.")
    elif body.get("grant_type") == "refresh_token":
        token = str(body.get("refresh_token", ""))
        user = next((item for item in world.api_users if token and item.refresh_token == token), None)
        if user is None:
            return _refused("invalid_grant", "Invalid refresh token.")
    else:
        return _refused("unsupported_grant_type", "Unsupported grant type.")
    user.access_token, user.refresh_token = _random(), _random()
    user.token_expires_at = now + timedelta(seconds=settings.token_seconds)
    return 200, {
        "access_token": user.access_token,
        "expires_in": settings.token_seconds,
        "token_type": "Bearer",
        "scope": "read write",
        "refresh_token": user.refresh_token,
        "message": "successfully authenticated",
        "status": "success",
    }


def answer_revoke(world: World, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    for user in world.api_users:
        if user.access_token and user.access_token == body.get("token"):
            user.access_token = ""
    return 200, {"message": "successfully revoked", "status": "success"}


def find_caller(world: World, authorization: str, now: datetime) -> ApiUser:
    """Who holds this bearer token. Refusal `Invalid security token.` for an unknown, old or superseded one."""
    scheme, _, token = authorization.partition(" ")
    user = next((item for item in world.api_users if token and item.access_token == token), None)
    if scheme.lower() != "bearer" or user is None or user.token_expires_at is None or now >= user.token_expires_at:
        raise Refusal(SECURITY_TOKEN, http_status=401)
    return user


def _refused(error: str, description: str) -> tuple[int, dict[str, Any]]:
    return 400, {"error": error, "error_description": description, "status": "failure", "message": description}


def _random() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(30))
