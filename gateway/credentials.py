"""API users: entered, proven by a login, changed. The password is write-only and encrypted, bound to its row."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db import IntegrityError

from gateway.access_tokens import AccessTokens, forget_token
from gateway.fortiflex.auth import AccessToken, log_in
from gateway.fortiflex.errors import LoginRefused, NotDone
from gateway.gate import Asker, GateClosed, Standing, take_turn
from gateway.gate.records import CallRecord
from gateway.models import ApiUser, UpstreamLane
from gateway.operations import end_planned_where_switched_off
from gateway.upstream import shared_transport
from tenants import ids
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.idempotency import IdempotencyKey, Made, find_made, make_once, row_of
from tenants.models import Tenant
from tenants.problems import Problem, invalid
from tenants.secrets import SecretUnreadable, decrypt_text, encrypt_text, is_current

DEFAULT_API_URL = "https://support.fortinet.com/ES/api/fortiflex/v2"
DEFAULT_AUTH_URL = "https://customerapiauth.fortinet.com/api/v1/oauth/token/"
PROOF_WAIT = 15.0
PLAIN = ("username", "api_url", "auth_url", "per_minute", "per_hour", "errors_per_hour", "enabled", "tags_follow")
NAME_TAKEN = "An API user of that name exists; change it with PATCH."
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class ApiUserFields:
    """What an operator enters. None = leave as it is (on an update) or the default (on creation)."""

    username: str | None = None
    password: str | None = None
    api_url: str | None = None
    auth_url: str | None = None
    tenant: Tenant | None = None
    serves_everybody: bool = False
    per_minute: int | None = None
    per_hour: int | None = None
    errors_per_hour: int | None = None
    enabled: bool | None = None
    tags_follow: bool | None = None

    def __repr__(self) -> str:
        return f"ApiUserFields(username={self.username!r})"


def add_api_user(actor: Actor, *, name: str, fields: ApiUserFields, key: IdempotencyKey | None = None) -> Made[ApiUser]:
    """A new API user, once for each `key`. Nothing is stored that FortiFlex does not let in.

    Problem `invalid` names the field; `state_conflict` if the name is taken.
    """
    rows = row_of(ApiUser.objects.select_related("tenant"))
    with acting_as(actor):
        is_taken = ApiUser.objects.filter(name=name).exists()
        # Looked at after the name: if this key took it a moment ago, that is seen. And before the login, which ends the live token.
        earlier = find_made(actor, key, subject=rows)
    if earlier is not None:
        return earlier
    if is_taken:
        raise Problem("state_conflict", NAME_TAKEN)
    row = ApiUser(id=ids.new_id(), name=name, api_url=DEFAULT_API_URL, auth_url=DEFAULT_AUTH_URL)
    _apply(row, fields)
    if not (fields.username and fields.password):
        raise invalid("/password", "A new API user needs its username and password.")
    token = _prove(row, fields.password)
    made = make_once(actor, key, lambda: _store_new(actor, row), subject=rows)
    if not made.replayed:
        _begin_anew(row, token)
    return made


def save_api_user(actor: Actor, *, name: str, fields: ApiUserFields) -> tuple[ApiUser, bool]:
    """Create or update the API user called `name`; (row, created). Problems as in `add_api_user`.

    A changed URL or user name needs the password again: else a stored password could be sent elsewhere.
    """
    with acting_as(actor):
        row = ApiUser.objects.select_related("tenant").filter(name=name).first()
    if row is None:
        return add_api_user(actor, name=name, fields=fields).thing, True
    before = describe_api_user(row)
    if _apply(row, fields) and fields.password is None:
        raise invalid("/password", "Enter the password again: it would be sent to another URL or for another user.")
    if fields.password is None:
        _store(actor, row, before, _names_of(fields), changed_password=False)
        return row, False
    # The login ends the live token, so nobody may be under way with it.
    try:
        with take_turn(
            row, Asker(Standing.PEOPLE), wait_seconds=PROOF_WAIT, call_seconds=30, writes=False, logs_in=True
        ) as turn:
            if turn is not None:
                turn.record(CallRecord("oauth/token", "login", False, None, 0))
            token = _prove(row, fields.password)
            _store(actor, row, before, _names_of(fields), changed_password=True)
            _begin_anew(row, token)
    except GateClosed as closed:
        detail = "This API user is in the middle of a call, so its credentials can't be proven. Try again."
        raise Problem("upstream_busy", detail, headers={"Retry-After": str(closed.seconds)}) from None
    return row, False


def _names_of(fields: ApiUserFields) -> list[str]:
    """The columns that an operator's entry is about."""
    given = [name for name in PLAIN if getattr(fields, name, None) is not None]
    given += ["password_encrypted"] if fields.password is not None else []
    return given + (["tenant"] if fields.tenant is not None or fields.serves_everybody else [])


def _begin_anew(row: ApiUser, token: AccessToken) -> None:
    forget_token(row)
    AccessTokens(shared_transport()).keep(row, token)


def _store_new(actor: Actor, row: ApiUser) -> ApiUser:
    try:
        _store(actor, row, None, [], changed_password=True)
    except IntegrityError as error:
        if "gateway_apiuser_name" not in str(error):
            raise
        # Somebody else took it while this one logged in.
        raise Problem("state_conflict", NAME_TAKEN) from error
    return row


def _store(
    actor: Actor, row: ApiUser, before: dict[str, object] | None, given: list[str], *, changed_password: bool
) -> None:
    created, name = before is None, row.name
    with acting_as(actor):
        if created:
            row.save(force_insert=True)
        else:  # only what was given: another change may have been stored while this one logged in
            row.save(update_fields=given)
            row.refresh_from_db()
        UpstreamLane.objects.get_or_create(api_user=row)
        if not row.enabled:
            end_planned_where_switched_off()
        record_audit(
            actor,
            "api_user.created" if created else "api_user.changed",
            subject_type="api_user",
            subject_key=name,
            tenant_id=None,  # how the operator reaches FortiFlex is no tenant's matter, served alone or not
            before=before,
            after=describe_api_user(row) | {"password": "changed" if changed_password else "as before"},
        )


def read_password(api_user: ApiUser) -> str:
    return decrypt_text(api_user.password_encrypted, bound_to=f"api_user:{api_user.id}:password")


def reencrypt_secrets(actor: Actor) -> dict[str, int]:
    """Encrypt what an older key wrote with the newest; {"renewed", "current", "unreadable"}. Safe to repeat and beside a running gateway."""
    counts = {"renewed": 0, "current": 0, "unreadable": 0}
    with acting_as(actor):
        for row in ApiUser.objects.select_for_update(no_key=True).order_by("id"):
            renewed = _renew(counts, row.password_encrypted, f"api_user:{row.id}:password")
            if renewed is not None:
                ApiUser.objects.filter(id=row.id).update(password_encrypted=renewed)
        for lane in (
            UpstreamLane.objects.select_for_update(no_key=True).exclude(access_token_encrypted="").order_by("api_user")
        ):
            renewed = _renew(counts, lane.access_token_encrypted, f"lane:{lane.api_user_id}:access_token")
            if renewed is not None:
                UpstreamLane.objects.filter(api_user=lane.api_user_id).update(access_token_encrypted=renewed)
        if counts["renewed"]:
            record_audit(
                actor, "secrets.reencrypted", subject_type="secrets", subject_key="all", tenant_id=None, after=counts
            )
    return counts


def _renew(counts: dict[str, int], cipher: str, bound_to: str) -> str | None:
    if is_current(cipher):
        counts["current"] += 1
        return None
    try:
        text = decrypt_text(cipher, bound_to=bound_to)
    except SecretUnreadable:
        counts["unreadable"] += 1
        return None
    counts["renewed"] += 1
    return encrypt_text(text, bound_to=bound_to)


def describe_api_user(row: ApiUser) -> dict[str, object]:
    """An API user as audit and API show it: no secret in it."""
    shown = {name: getattr(row, name) for name in ("name", *PLAIN, "created_at")}
    return shown | {"tenant": row.tenant.slug if row.tenant else None}


def _apply(row: ApiUser, fields: ApiUserFields) -> bool:
    """Copy what was given; True if user name or a URL changed."""
    moved = False
    for name in ("username", "api_url", "auth_url"):
        value = getattr(fields, name)
        if value is not None and value != getattr(row, name):
            if name != "username":
                _check_url(name, value)
            setattr(row, name, value)
            moved = True
    for name in ("per_minute", "per_hour", "errors_per_hour", "enabled", "tags_follow"):
        value = getattr(fields, name)
        if value is not None:
            setattr(row, name, value)
    if fields.tenant is not None or fields.serves_everybody:
        row.tenant = fields.tenant
    return moved


def _check_url(name: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise invalid(f"/{name}", "This is no URL.") from None
    if parts.scheme not in {"https", "http"} or not host or parts.username or parts.query or parts.fragment:
        raise invalid(f"/{name}", "Enter an https URL without credentials, query or fragment.")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise invalid(f"/{name}", "Use https: a password would travel in clear. http is for loopback alone.")


def _prove(row: ApiUser, password: str) -> AccessToken:
    """Log in, and put the password into the row, which is not saved yet."""
    try:
        token = log_in(shared_transport(), row.auth_url, username=row.username, password=password, seconds=30)
    except LoginRefused as error:
        raise invalid("/password", f"FortiFlex does not let this API user in. {error}") from None
    except NotDone as error:
        raise Problem(
            "upstream_unavailable", f"The token URL can't be reached, so the credentials are not proven. {error}"
        ) from None
    row.password_encrypted = encrypt_text(password, bound_to=f"api_user:{row.id}:password")
    return token
