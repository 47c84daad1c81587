"""GET whoami: what the token that asks is and may do."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api.base import ApiView
from tenants.api.tenants import LimitsSerializer
from tenants.models import Token
from tenants.problems import not_found


class WhoamiSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["operator", "tenant"])
    tenant = serializers.CharField(allow_null=True)
    token_id = serializers.UUIDField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)
    limits = LimitsSerializer(help_text="empty for the operator, and where no limit is set")


class WhoamiView(ApiView):
    scopes = {"GET": None}

    @extend_schema(operation_id="whoami", responses=WhoamiSerializer, summary="What this token is and may do")
    def get(self, request: Request) -> Response:
        self.read_query()
        token = (
            Token.objects.visible_to(self.actor)
            .select_related("tenant")
            .filter(id=self.actor.token_id or UUID(int=0))
            .first()
        )
        if token is None:
            raise not_found()
        return Response(
            {
                "kind": str(self.actor.kind),
                "tenant": token.tenant.slug if token.tenant else None,
                "token_id": token.id,
                "name": token.name,
                "scopes": sorted(self.actor.scopes),
                "expires_at": token.expires_at,
                "limits": token.tenant.limits if token.tenant else {},
            }
        )
