"""Logging in with a tenant's token, for clients that call with a short-lived access token of their own (tenants.models.SessionToken).

A session is nothing by itself: scopes, narrowing, networks and rates are its token's, and every use asks whether that one still lives.
Several stand side by side, because Ansible logs in for each task and Terraform never does again.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from tenants import clock, ids
from tenants.actors import AUTHENTICATOR, system
from tenants.addresses import neighbourhood
from tenants.audit import record_audit
from tenants.authentication import (
    actor_of,
    note_use,
    rates_of,
    record_token_refusal,
    why_unusable,
)
from tenants.context import acting_as
from tenants.failed_signins import slow_down_failures
from tenants.models import SessionToken, Token
from tenants.rate_limits import Rate, has_room, take
from tenants.token_format import BASE62
from tenants.token_lookup import look_up_token
from tenants.token_secrets import hash_session, peppers, possible_session_hashes, secret_matches

LENGTH = 30  # as FortiFlex's: 178 bits
FORM = re.compile(rf"[0-9A-Za-z]{{{LENGTH}}}")
TOKEN_ID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
ACCESS_SECONDS = 3660
REFRESH_SECONDS = 86_400
LONGEST_SECRET = 200
NO_TOKEN = UUID(int=0)  # what an id that can't be one is looked up as, so that it costs the same
KEEPER = system("sessions")


@dataclass(frozen=True, slots=True, repr=False)
class OpenedSession:
    """The two values, shown this once."""

    access_token: str
    refresh_token: str


def open_session(*, token_id: str, secret: str, address: str) -> OpenedSession | None:
    """Log in with a tenant's token; None for every kind of failure, after the same work. Counts against the token's rates: `rate_limited`."""
    wanted = UUID(token_id) if TOKEN_ID.fullmatch(token_id) else NO_TOKEN
    with acting_as(AUTHENTICATOR):
        token = look_up_token(wanted)
        reason = _why_refused(token, secret, address)
        if token is not None and reason is None:
            note_use(token, address, secret=secret)
            opened = _make_session(token)
            take(rates_of(token))  # last: its row locks are held for the commit alone
    if token is None or reason is not None:
        _note_failure(token, reason or "unknown", address)
        return None
    _note_login(token)
    return opened


def renew_session(*, refresh_token: str, address: str) -> OpenedSession | None:
    """A new session for a refresh token, which works once; None for every kind of failure. The old access token ends by itself."""
    now = clock.now()
    with acting_as(AUTHENTICATOR):
        token = _find_by(refresh_token, "refresh")
        reason = "unknown" if token is None else why_unusable(token, address)
        if token is not None and reason is None:
            mine = SessionToken.objects.filter(id=token.session_id)  # type: ignore[attr-defined]
            # Of two at once, one renews.
            if mine.filter(renewed_at__isnull=True, ended_at__isnull=True, refresh_expires_at__gt=now).update(
                renewed_at=now
            ):
                note_use(token, address)
                opened = _make_session(token, login_id=token.session_login_id)  # type: ignore[attr-defined]
                take(rates_of(token))
            else:
                token, reason = None, "unknown"
    if token is None or reason is not None:
        _note_failure(token, reason or "unknown", address)
        return None
    _note_login(token)
    return opened


def find_session(access_token: str, *, address: str) -> Token | None:
    """The live token behind an access token, used from `address`; None for every kind of failure. Counts against its rates: `rate_limited`.

    What ran out is no failed sign-in: clients send it until they are told. What never was counts as one.
    """
    now = clock.now()
    with acting_as(AUTHENTICATOR):
        token = _find_by(access_token, "access")
        reason = "unknown" if token is None else why_unusable(token, address)
        if token is not None and reason is None:
            if token.session_ended_at is not None or token.session_expires_at <= now:  # type: ignore[attr-defined]
                return None
            note_use(token, address)
            take(rates_of(token))
    if token is None:
        if not FORM.fullmatch(
            access_token
        ):  # of 178 bits nothing is guessed; an old one that was forgotten looks the same
            slow_down_failures(address)
        return None
    if reason is not None:
        record_token_refusal(token, reason)
        return None
    return token


def end_session(value: str) -> None:
    """Refuse the session that `value` (its access or its refresh token) belongs to, from the next request on, with all that the same login
    was renewed to. An unknown one is no error.
    """
    hashes = possible_session_hashes(value)
    with acting_as(AUTHENTICATOR):
        logins = [
            login
            for column in ("access_hash__in", "refresh_hash__in")
            for login in SessionToken.objects.filter(**{column: hashes}).values_list("login_id", flat=True)
        ]
        # A renewal under way holds the row that it renews: after having waited for it, what it made is there to be ended too.
        while SessionToken.objects.filter(login_id__in=logins, ended_at__isnull=True).update(ended_at=clock.now()):
            pass


def forget_old_sessions() -> int:
    """Drop those whose refresh token ran out too; how many."""
    with acting_as(KEEPER):
        removed, _ = SessionToken.objects.filter(refresh_expires_at__lt=clock.now()).delete()
    return removed


def _why_refused(token: Token | None, secret: str, address: str) -> str | None:
    """The secret is hashed and compared whether there is a token or not; an operator's token is none here."""
    known = token if token is not None else Token(secret_hash=bytes(32), pepper=peppers().newest)
    matches = secret_matches(known, secret[:LONGEST_SECRET]) and len(secret) <= LONGEST_SECRET
    if token is None or token.tenant_id is None:
        return "unknown"
    return why_unusable(token, address) if matches else "wrong_secret"


def _find_by(value: str, kind: str) -> Token | None:
    if not FORM.fullmatch(value):
        return None
    hashes = possible_session_hashes(value)
    session = SessionToken.objects.filter(**{f"{kind}_hash__in": hashes}).first()
    token = None if session is None else look_up_token(session.token_id)
    if session is not None and token is not None:
        token.session_id, token.session_login_id = session.id, session.login_id  # type: ignore[attr-defined]
        token.session_ended_at = session.ended_at  # type: ignore[attr-defined]
        token.session_expires_at = getattr(session, f"{kind}_expires_at")  # type: ignore[attr-defined]
    return token


def _make_session(token: Token, *, login_id: UUID | None = None) -> OpenedSession:
    """`login_id` None = a new login."""
    opened, now = OpenedSession(_make_value(), _make_value()), clock.now()
    SessionToken.objects.create(
        token=token,
        login_id=login_id or ids.new_id(),
        access_hash=hash_session(opened.access_token),
        access_expires_at=now + timedelta(seconds=ACCESS_SECONDS),
        refresh_hash=hash_session(opened.refresh_token),
        refresh_expires_at=now + timedelta(seconds=REFRESH_SECONDS),
        created_at=now,
    )
    return opened


def _make_value() -> str:
    return "".join(secrets.choice(BASE62) for _ in range(LENGTH))


def _note_failure(token: Token | None, reason: str, address: str) -> None:
    if token is not None and token.tenant_id is not None:
        record_token_refusal(token, reason)
    else:
        with acting_as(AUTHENTICATOR):
            has_room(
                Rate("refusals", f"refused login:{neighbourhood(address)}", 1)
            )  # the same statement as for a known one
    slow_down_failures(address, kind="login")


def _note_login(token: Token) -> None:
    """In the tenant's audit trail, at most once a minute and token: Ansible logs in for every task."""
    with acting_as(AUTHENTICATOR):
        if not has_room(Rate("refusals", f"login noted:{token.id}", 1)):
            return
    actor = actor_of(token)
    with acting_as(KEEPER):
        record_audit(
            actor, "session.opened", subject_type="token", subject_key=token.id, tenant_id=token.tenant_id, after={}
        )
