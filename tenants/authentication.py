"""Bearer tokens: from header to Actor. Every failure has one answer, and a mistyped token costs no look-up."""

import ipaddress
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from tenants import clock
from tenants.actors import AUTHENTICATOR, Actor, ActorKind
from tenants.context import acting_as
from tenants.models import Tenant, Token
from tenants.problems import Problem
from tenants.scopes import expand_scopes
from tenants.token_format import parse_token
from tenants.tokens import secret_matches

LAST_USE_PRECISION = timedelta(minutes=1)  # one write a minute and token, however busy it is


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer fxg_…`. Sets request.user to the Actor and request.auth to the token's id."""

    def authenticate(self, request: Request) -> tuple[Actor, UUID] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        token = (
            find_token(text.strip(), address=request.META.get("REMOTE_ADDR", ""))
            if scheme.lower() == "bearer"
            else None
        )
        if token is None:
            raise not_authenticated()
        return actor_of(token), token.id

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="flexgate"'


def not_authenticated() -> Problem:
    """The one 401, whatever was wrong: nothing can be learnt about other tokens from it."""
    return Problem(
        "not_authenticated",
        "Send a valid, unexpired token as 'Authorization: Bearer …'.",
        headers={"WWW-Authenticate": 'Bearer realm="flexgate"'},
    )


def find_token(text: str, *, address: str) -> Token | None:
    """The live token that `text` is, used from `address`; None for every kind of failure."""
    presented = parse_token(text, environment=settings.FLEXGATE_ENVIRONMENT)
    if presented is None:
        return None
    with acting_as(AUTHENTICATOR):
        token = Token.objects.select_related("tenant").filter(id=presented.token_id).first()
        if token is None or not secret_matches(token, presented.secret) or not _is_usable(token, address=address):
            return None
        now = clock.now()
        if token.last_used_at is None or now - token.last_used_at >= LAST_USE_PRECISION:
            Token.objects.filter(id=token.id).update(last_used_at=now, last_used_from=address)
    return token


def _is_usable(token: Token, *, address: str) -> bool:
    if token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= clock.now()):
        return False
    if token.tenant is not None and token.tenant.status != Tenant.Status.ACTIVE:
        return False
    return not token.allowed_ips or _is_allowed(address, token.allowed_ips)


def _is_allowed(address: str, networks: list[str]) -> bool:
    try:
        caller: Any = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(caller, "ipv4_mapped", None)  # an IPv4 client on a dual-stack socket is still that IPv4 client
    return any((mapped or caller) in ipaddress.ip_network(network) for network in networks)


def actor_of(token: Token) -> Actor:
    """Who a token acts as."""
    kind = ActorKind.OPERATOR if token.tenant_id is None else ActorKind.TENANT
    return Actor(
        kind=kind,
        name=f"token {token.id}",
        tenant_ids=() if token.tenant_id is None else (token.tenant_id,),
        scopes=expand_scopes(token.scopes),
        token_id=token.id,
    )
