"""A tenant's tokens over REST. The secret is in the 201 and nowhere else."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.actors import Actor
from tenants.api.base import ApiView, PageParameters
from tenants.api.fields import NetworkField, StrictCharField, StrictIntegerField
from tenants.context import acting_as
from tenants.directory import find_tenant
from tenants.discretion import OPERATOR, is_hidden, own_names
from tenants.idempotency import Subject, make_once
from tenants.models import Tenant, Token, TokenReach
from tenants.openapi import IDEMPOTENCY_KEY
from tenants.problems import not_found
from tenants.tokens import IssuedToken, issue_token, revoke_all_tokens, revoke_token, rotate_token


class TokenCreateSerializer(serializers.Serializer[Any]):
    name = StrictCharField(max_length=100)
    scopes = serializers.ListField(child=StrictCharField(max_length=40), min_length=1, max_length=50, required=False)
    expires_at = serializers.DateTimeField(required=False)
    allowed_ips = serializers.ListField(child=NetworkField(max_length=50), max_length=100, required=False)
    entitlements = serializers.ListField(
        child=StrictCharField(max_length=40), max_length=500, required=False, help_text="narrow it to these serials"
    )
    configs = serializers.ListField(
        child=StrictIntegerField(min_value=1, max_value=2**62),
        max_length=500,
        required=False,
        help_text="narrow it to these configs and what stands under them",
    )


class TokenRotateSerializer(serializers.Serializer[Any]):
    overlap_seconds = StrictIntegerField(
        min_value=0, max_value=7 * 86_400, default=0, help_text="How long the old token goes on."
    )


class TokenSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    tenant = serializers.CharField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    allowed_ips = serializers.ListField(child=serializers.CharField())
    entitlements = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="null = not narrowed"
    )
    configs = serializers.ListField(child=serializers.IntegerField(), allow_null=True)
    parent_id = serializers.UUIDField(allow_null=True, help_text="the token that made it, and ends it when it ends")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    last_used_from = serializers.CharField(allow_blank=True)


class NewTokenSerializer(TokenSerializer):
    secret = serializers.CharField(
        allow_null=True, help_text="The drop-in API's password; shown once, null in a replay."
    )
    token = serializers.CharField(allow_null=True, help_text="The bearer token; shown once, null in a replay.")


class RevokedSerializer(serializers.Serializer[Any]):
    revoked = serializers.IntegerField()
    kept = serializers.IntegerField(help_text="those that may do more than you, or are not of your making")


class TokenPageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = TokenSerializer(many=True)


def render_token(
    token: Token, own: frozenset[str] | None, *, slug: str, reach: Sequence[tuple[str, str]] | None = None
) -> dict[str, Any]:
    shown = (
        "id",
        "name",
        "scopes",
        "allowed_ips",
        "created_at",
        "expires_at",
        "revoked_at",
        "last_used_at",
        "last_used_from",
    )
    names: dict[str, list[Any]] = {"entitlement": [], "config": []}
    pairs = [(row.kind, row.key) for row in token.reach.all()] if reach is None else reach
    for kind, key in pairs:
        names[kind].append(int(key) if kind == TokenReach.Kind.CONFIG else key)
    maker = OPERATOR if is_hidden(token.created_by, own) else token.created_by
    return {"tenant": slug, "created_by": maker, "parent_id": token.ancestors[-1] if token.ancestors else None} | {
        "entitlements": sorted(names["entitlement"]) if token.narrowed else None,
        "configs": sorted(names["config"]) if token.narrowed else None,
        **{name: getattr(token, name) for name in shown},
    }


def render_new_token(issued: IssuedToken, actor: Actor, *, slug: str) -> dict[str, Any]:
    return render_token(issued.row, own_names(actor), slug=slug, reach=issued.reach) | {
        "secret": issued.secret,
        "token": issued.text,
    }


class TokensView(ApiView):
    scopes = {"GET": "tokens:write", "POST": "tokens:write", "DELETE": "tokens:write"}
    narrowed_methods = frozenset({"GET", "POST"})

    @extend_schema(
        operation_id="list_tokens",
        parameters=[PageParameters],
        responses=TokenPageSerializer,
        summary="A tenant's tokens",
    )
    def get(self, request: Request, slug: str) -> Response:
        self.read_query(paged=True)
        tenant = find_tenant(self.actor, slug)
        tokens = Token.objects.visible_to(self.actor).filter(tenant=tenant).prefetch_related("reach")
        own = own_names(self.actor)
        return Response(
            self.page(tokens, keys=("id",), descending=True, render=lambda token: render_token(token, own, slug=slug))
        )

    @extend_schema(
        operation_id="create_token",
        parameters=[IDEMPOTENCY_KEY],
        request=TokenCreateSerializer,
        responses={201: NewTokenSerializer},
        summary="Issue a token",
    )
    def post(self, request: Request, slug: str) -> Response:
        with acting_as(self.actor):
            tenant = find_tenant(self.actor, slug)  # what is not yours is 404 before its body is looked at
            body = self.read_body(TokenCreateSerializer)
            return _answer_issued(self, tenant, lambda: issue_token(self.actor, tenant=tenant, **body))

    @extend_schema(
        operation_id="revoke_all_tokens",
        responses={200: RevokedSerializer},
        summary="Revoke every token of a tenant, your own included where it is one",
    )
    def delete(self, request: Request, slug: str) -> Response:
        with acting_as(self.actor):
            revoked, kept = revoke_all_tokens(self.actor, tenant=find_tenant(self.actor, slug))
        return Response({"revoked": revoked, "kept": kept})


class TokenView(ApiView):
    scopes = {"GET": "tokens:write", "DELETE": "tokens:write"}
    narrowed_methods = frozenset({"GET", "DELETE"})

    @extend_schema(operation_id="read_token", responses=TokenSerializer, summary="One token, without its secret")
    def get(self, request: Request, slug: str, token_id: UUID) -> Response:
        self.read_query()
        token = Token.objects.visible_to(self.actor).filter(id=token_id, tenant__slug=slug).first()
        if token is None:
            raise not_found()
        return Response(render_token(token, own_names(self.actor), slug=slug))

    @extend_schema(
        operation_id="revoke_token", responses={204: None}, summary="Revoke a token: refused from the next request on"
    )
    def delete(self, request: Request, slug: str, token_id: UUID) -> Response:
        revoke_token(self.actor, tenant_slug=slug, token_id=token_id)
        return Response(status=204)


class TokenRotateView(ApiView):
    scopes = {"POST": "tokens:write"}
    narrowed_methods = frozenset({"POST"})

    @extend_schema(
        operation_id="rotate_token",
        parameters=[IDEMPOTENCY_KEY],
        request=TokenRotateSerializer,
        responses={201: NewTokenSerializer},
        summary="Replace a token",
    )
    def post(self, request: Request, slug: str, token_id: UUID) -> Response:
        overlap = timedelta(seconds=self.read_body(TokenRotateSerializer)["overlap_seconds"])

        def rotate() -> IssuedToken:
            return rotate_token(self.actor, tenant_slug=slug, token_id=token_id, overlap=overlap)

        with acting_as(self.actor):
            return _answer_issued(self, find_tenant(self.actor, slug), rotate)


def _answer_issued(view: ApiView, tenant: Tenant, issue: Callable[[], IssuedToken]) -> Response:
    """The new token with its secret; without it where an earlier request with the same key had made it. Inside `acting_as`."""
    actor, slug = view.actor, tenant.slug

    def find(token_id: str) -> dict[str, Any] | None:
        token = Token.objects.visible_to(actor).filter(tenant=tenant, id=token_id).first()
        shown = None if token is None else render_token(token, own_names(actor), slug=slug)
        return shown and shown | {"secret": None, "token": None}

    made = make_once(
        actor,
        view.read_key(),
        lambda: render_new_token(issue(), actor, slug=slug),
        subject=Subject("token", lambda shown: shown["id"], find),
        tenant=tenant,
    )
    return view.answer_made(made, made.thing, location=f"/api/v1/tenants/{slug}/tokens/{made.thing['id']}")
