"""GET whoami: what the token that asks is and may do."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.actors import Actor
from tenants.api.base import ApiView
from tenants.api.tenants import LimitsSerializer
from tenants.authentication import rates_of
from tenants.models import Tenant, Token
from tenants.problems import not_found


class WhoamiSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["operator", "tenant", "staff"])
    tenant = serializers.CharField(allow_null=True)
    tenants = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), help_text="staff: scopes by tenant"
    )
    token_id = serializers.UUIDField(allow_null=True)
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)
    entitlements = serializers.ListField(child=serializers.CharField(), allow_null=True, help_text="narrowed to these")
    configs = serializers.ListField(child=serializers.IntegerField(), allow_null=True, help_text="narrowed to these")
    limits = LimitsSerializer(help_text="empty for the operator, and where no limit is set")
    rates = serializers.DictField(
        child=serializers.IntegerField(), help_text="requests a minute, per token and per tenant"
    )


class WhoamiView(ApiView):
    scopes = {"GET": None}
    narrowed_methods = frozenset({"GET"})

    @extend_schema(operation_id="whoami", responses=WhoamiSerializer, summary="What this token is and may do")
    def get(self, request: Request) -> Response:
        self.read_query()
        actor = self.actor
        if actor.token_id is None:
            return Response(_describe_person(actor))
        token = Token.objects.visible_to(actor).select_related("tenant").filter(id=actor.token_id).first()
        if token is None:
            raise not_found()
        return Response(
            {
                "kind": str(actor.kind),
                "tenant": token.tenant.slug if token.tenant else None,
                "tenants": {},
                "token_id": token.id,
                "name": token.name,
                "scopes": sorted(actor.scopes),
                "expires_at": token.expires_at,
                "entitlements": sorted(actor.reach.entitlements) if actor.reach else None,
                "configs": sorted(actor.reach.configs) if actor.reach else None,
                "limits": token.tenant.limits if token.tenant else {},
                "rates": {rate.name: rate.quota for rate in rates_of(token)},
            }
        )


def _describe_person(actor: Actor) -> dict[str, Any]:
    slugs = dict(Tenant.objects.visible_to(actor).filter(id__in=actor.tenant_ids).values_list("id", "slug"))
    return {
        "kind": str(actor.kind),
        "tenant": None,
        "tenants": {slug: sorted(actor.scopes_on(tenant_id)) for tenant_id, slug in sorted(slugs.items())},
        "token_id": None,
        "name": actor.name,
        "scopes": sorted(actor.scopes),
        "expires_at": None,
        "entitlements": None,
        "configs": None,
        "limits": {},
        "rates": {},
    }
