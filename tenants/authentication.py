"""Bearer tokens: from header to Actor. Every failure has one answer, and a mistyped token costs no look-up."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from tenants import clock
from tenants.actors import AUTHENTICATOR, Actor, ActorKind, Reach, system
from tenants.addresses import is_within
from tenants.audit import record_audit
from tenants.context import acting_as, ask_together, current_address
from tenants.failed_signins import slow_down_failures
from tenants.known_tokens import KnownToken, doubt_token, forget_token, recall_token, remember_token
from tenants.models import Tenant, Token, TokenReach
from tenants.presumption import Presumption, StandsOtherwise, presume
from tenants.problems import Problem
from tenants.rate_limits import Rate, has_room, judge, take, taking
from tenants.rows import copy_of
from tenants.scopes import expand_scopes
from tenants.token_format import parse_token
from tenants.token_lookup import confirmation_of, look_up_token, looking_up, read_token
from tenants.token_secrets import needs_rehash, rehash, secret_matches

SMALL_BODY = 64 * 1024
LAST_USE_PRECISION = timedelta(minutes=1)  # one write a minute and token, however busy it is
REFUSALS = system("authentication")


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer fxg_…`. Sets request.user to the Actor and request.auth to the token's id."""

    def authenticate(self, request: Request) -> tuple[Actor, UUID] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        address, text = current_address(), text.strip() if scheme.lower() == "bearer" else ""
        actor = presume_actor(text, address) if may_presume(request) else None
        if actor is None:
            actor = actor_of(admit(text, address))
        return actor, actor.token_id  # type: ignore[return-value] # a token's actor has one

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="flexgate"'


def not_authenticated() -> Problem:
    """The one 401, whatever was wrong: nothing can be learnt about other tokens from it."""
    return Problem(
        "not_authenticated",
        "Send a valid, unexpired token as 'Authorization: Bearer …'.",
        headers={"WWW-Authenticate": 'Bearer realm="flexgate"'},
    )


def admit(text: str, address: str) -> Token:
    """The live token that `text` is. Problem `not_authenticated`; `rate_limited` by its own rates, or where `address` failed too often."""
    token = find_token(text, address=address)
    if token is None:
        slow_down_failures(address)
        raise not_authenticated()
    return token


def may_presume(request: Request) -> bool:
    """Where the view begins with a presumption, and there is not much to be read before it is confirmed."""
    methods = getattr(request.parser_context.get("view"), "presuming_methods", ())
    return request.method in methods and int(request.META.get("CONTENT_LENGTH") or 0) <= SMALL_BODY


def presume_actor(text: str, address: str) -> Actor | None:
    """Who `text` was a moment ago, to be confirmed by what asks PostgreSQL first (tenants.presumption); None = look it up now.

    A tenant's own token alone, and none whose use is to be noted: so nothing is presumed that was not confirmed a minute ago.
    """
    presented = parse_token(text, environment=settings.FLEXGATE_ENVIRONMENT)
    known = recall_token(presented.token_id, text) if presented is not None else None
    if known is None or not known.is_current:
        return None
    token, rates = known.token, known.rates
    if token.tenant is None or token.narrowed or _is_due(token) or why_unusable(token, address) is not None:
        return None
    actor = actor_of(token, tenant=copy_of(token.tenant))
    asks, holds = confirmation_of(token, rates)

    def hear(rows: Sequence[Sequence[Any]]) -> bool:
        if rows:
            with _looked_up_next_time(token.id):
                judge(rates, [(key, full_in) for key, full_in, _ in rows])
        return bool(rows)

    def confirm() -> None:
        with _looked_up_next_time(token.id):
            now = admit(text, address)
        if actor_of(now) != actor or now.versions[1] != token.versions[1]:  # type: ignore[attr-defined] # the tenant's
            raise StandsOtherwise(actor_of(now))

    presume(Presumption(asks, holds, hear, confirm))
    return actor


@contextmanager
def _looked_up_next_time(token_id: UUID) -> Iterator[None]:
    """Whoever is beyond their rates is presumed no more until they are let in: who floods is not to stand in anybody's lane."""
    try:
        yield
    except Problem as problem:
        if problem.code == "rate_limited":
            doubt_token(token_id)
        raise


def find_token(text: str, *, address: str) -> Token | None:
    """The live token that `text` is, used from `address`; None for every kind of failure. Counts against its rates: `rate_limited`."""
    presented = parse_token(text, environment=settings.FLEXGATE_ENVIRONMENT)
    if presented is None:
        return None
    known = recall_token(presented.token_id, text)
    if known is None:
        token, taken = look_up_token(presented.token_id), None
    else:
        rows, taken = ask_together(looking_up(presented.token_id), taking(known.rates), by_key=True)
        token = read_token(rows)
    if token is None or (token.tenant_id is None) != (presented.kind == "operator"):
        return None
    reason = "wrong_secret" if not secret_matches(token, presented.secret) else why_unusable(token, address)
    if reason is not None:
        forget_token(token.id)
        record_token_refusal(token, reason)
        return None
    rates = rates_of(token)
    if known is not None and taken is not None and rates == known.rates:
        judge(rates, taken)
    else:
        take(rates)
    is_current = not note_use(token, address, secret=presented.secret)
    if known is None or not known.is_current or not is_current or known.token.versions != token.versions:  # type: ignore[attr-defined]
        remember_token(text, KnownToken(token, rates, is_current))
    return token


def why_unusable(token: Token, address: str) -> str | None:
    """For our own eyes; the caller learns nothing of it."""
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= clock.now():
        return "expired"
    if token.orphaned:  # type: ignore[attr-defined]
        return "parent_ended"
    if token.tenant is not None and token.tenant.status != Tenant.Status.ACTIVE:
        return "tenant_suspended"
    if token.allowed_ips and not is_within(address, token.allowed_ips):
        return "network_not_allowed"
    return None


def note_use(token: Token, address: str, *, secret: str | None = None) -> bool:
    """When and from where it was last used; and `secret`, where it was shown, under the newest pepper. Whether anything was written."""
    changed: dict[str, Any] = {}
    if _is_due(token):
        changed |= {"last_used_at": clock.now(), "last_used_from": address}
    if secret is not None and needs_rehash(token):
        changed |= rehash(secret)
    if changed:
        with acting_as(AUTHENTICATOR):
            Token.objects.filter(id=token.id).update(**changed)
    return bool(changed)


def _is_due(token: Token) -> bool:
    """Its use is to be noted."""
    return token.last_used_at is None or clock.now() - token.last_used_at >= LAST_USE_PRECISION


def rates_of(token: Token) -> list[Rate]:
    """A token's family shares one rate, so that making children multiplies nothing; all tokens of a tenant share another."""
    if token.tenant is None:
        return [Rate("token", f"token:{token.id}", settings.FLEXGATE_REQUESTS_PER_OPERATOR_TOKEN)]
    quota = token.tenant.limits.get("requests_per_minute") or settings.FLEXGATE_REQUESTS_PER_TENANT
    return [
        Rate("token", f"token:{token.family or token.id}", settings.FLEXGATE_REQUESTS_PER_TOKEN),
        Rate("tenant", f"tenant:{token.tenant_id}", int(quota)),
    ]


def record_token_refusal(token: Token, reason: str) -> None:
    """Somebody holds a token that once was or nearly is one: its tenant may want to know. Once a minute and reason."""
    with acting_as(AUTHENTICATOR):
        if not has_room(Rate("refusals", f"refused {reason}:{token.id}", 1)):
            return
    with acting_as(REFUSALS):
        record_audit(
            REFUSALS,
            "token.refused",
            subject_type="token",
            subject_key=token.id,
            tenant_id=token.tenant_id,
            after={"reason": reason},
        )


def actor_of(token: Token, *, tenant: Tenant | None = None) -> Actor:
    """Who a token acts as. `tenant` = its tenant, where `token` and what hangs on it are others' too."""
    kind = ActorKind.OPERATOR if token.tenant_id is None else ActorKind.TENANT
    return Actor(
        kind=kind,
        name=f"token {token.id}",
        tenant_ids=() if token.tenant_id is None else (token.tenant_id,),
        scopes=expand_scopes(token.scopes),
        token_id=token.id,
        reach=_reach_of(token) if token.narrowed else None,
        own_tenant=tenant or token.tenant,
    )


def _reach_of(token: Token) -> Reach:
    names = getattr(token, "reach_names", None)
    if names is None:  # a token just made
        with acting_as(AUTHENTICATOR):
            names = [f"{row.kind}:{row.key}" for row in TokenReach.objects.filter(token=token)]
    pairs = [name.split(":", 1) for name in names]
    kind = TokenReach.Kind
    return Reach(
        entitlements=frozenset(key for name, key in pairs if name == kind.ENTITLEMENT),
        configs=frozenset(int(key) for name, key in pairs if name == kind.CONFIG),
    )
