"""FortiCloud's login, by which a tenant's token becomes an access token: its id is the user name, its secret the password."""

import time
from typing import Any
from urllib.parse import parse_qsl

from django.http import HttpRequest, HttpResponse

from gateway.dropin.body import read_json
from gateway.dropin.envelope import LOGIN_FAILED, render_login
from tenants.addresses import neighbourhood
from tenants.body_slots import read_body
from tenants.context import current_address
from tenants.problems import Problem
from tenants.session_tokens import ACCESS_SECONDS, OpenedSession, end_session, open_session, renew_session

CLIENT_ID = "flexvm"
MOST_FIELDS = 20
FAILURE_SECONDS = 0.1  # what every failure takes, whatever was found on the way


def answer_login(request: HttpRequest) -> HttpResponse:
    """Password grant and refresh grant (reference 1.2, 1.3), as JSON or as a form."""
    fields, started = _read_fields(request), time.monotonic()
    if fields.get("client_id") != CLIENT_ID:
        raise _failure("invalid_client", "Invalid client.")
    address = current_address()
    match fields.get("grant_type"):
        case "password":
            name, secret = fields.get("username", ""), fields.get("password", "")
            opened = _same_time(started, lambda: open_session(token_id=name, secret=secret, address=address))
        case "refresh_token":
            value = fields.get("refresh_token", "")
            opened = _same_time(started, lambda: renew_session(refresh_token=value, address=address))
        case _:
            raise _failure("unsupported_grant_type", "Unsupported grant type.")
    if opened is None:
        raise _failure("invalid_grant", LOGIN_FAILED)
    return render_login(
        {
            "access_token": opened.access_token,
            "expires_in": ACCESS_SECONDS,
            "token_type": "Bearer",
            "scope": "read write",
            "refresh_token": opened.refresh_token,
            "message": "successfully authenticated",
            "status": "success",
        }
    )


def answer_revoke(request: HttpRequest) -> HttpResponse:
    """An unknown token is as good as revoked (RFC 7009)."""
    fields = _read_fields(request)
    if fields.get("client_id") != CLIENT_ID:
        raise _failure("invalid_client", "Invalid client.")
    if not fields.get("token"):
        raise _failure("invalid_request", "token is required.")
    end_session(fields["token"])
    return render_login({"message": "successfully revoked", "status": "success"})


def _same_time(started: float, log_in: Any) -> OpenedSession | None:
    """A failure is answered no sooner than FAILURE_SECONDS after its body was read: no clock tells what was wrong."""
    opened: OpenedSession | None = None
    try:
        opened = log_in()
    finally:
        if opened is None:
            time.sleep(max(0.0, started + FAILURE_SECONDS - time.monotonic()))
    return opened


SLOT_PATIENCE = 3.0  # Ansible's forks log in side by side from one address, and take any refusal for the end


def _read_fields(request: HttpRequest) -> dict[str, str]:
    asker = neighbourhood(current_address())
    raw = read_body(request.read, request.META, asker, stranger=True, patience=SLOT_PATIENCE)
    if "form-urlencoded" in (request.content_type or ""):
        try:
            pairs = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
        except ValueError as error:
            raise _failure("invalid_request", "The form can't be read.") from error
        if len(dict(pairs)) != len(pairs):
            raise _failure("invalid_request", "The form names a field twice.")
        return dict(pairs)
    body = read_json(raw)
    return {name: value for name, value in body.items() if isinstance(value, str)}


def _failure(error: str, description: str) -> Problem:
    return Problem("invalid", description, extra={"oauth": error})
