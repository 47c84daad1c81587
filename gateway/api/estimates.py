"""What FortiFlex sells, and what it would cost in points per day."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.api.parameters import ParameterSerializer
from gateway.catalogue import product_types
from gateway.fortiflex.records import ProductType
from gateway.provisioning.checks import tenant_of_request
from gateway.provisioning.estimates import estimate_points
from gateway.reach import accounts_for
from tenants.api import ApiView
from tenants.api.fields import NumberTextField, StrictCharField, StrictIntegerField
from tenants.directory import tenants_of


class EstimateRequestSerializer(serializers.Serializer[Any]):
    program = StrictCharField(max_length=32)
    product_type_id = StrictIntegerField(min_value=1, max_value=100_000)
    parameters = serializers.ListField(child=ParameterSerializer(), max_length=200)
    tenant = StrictCharField(required=False, allow_null=True, max_length=40)


class EstimateSerializer(serializers.Serializer[Any]):
    points_per_day = NumberTextField()


class ChoiceOfferedSerializer(serializers.Serializer[Any]):
    value = serializers.CharField()
    description = serializers.CharField(allow_blank=True)


class ParameterOfferedSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField(allow_blank=True)
    kind = serializers.CharField(help_text="NUMERIC, SINGLEVALUE, MULTIVALUE, READONLY, or what FortiFlex adds")
    min_value = serializers.IntegerField(allow_null=True)
    max_value = serializers.IntegerField(allow_null=True)
    step = serializers.IntegerField(allow_null=True)
    valid_values = ChoiceOfferedSerializer(many=True)


class ProductSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    form = serializers.CharField()
    parameters = ParameterOfferedSerializer(many=True)


class ProductListSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ProductSerializer(many=True)


class EstimatesView(ApiView):
    scopes = {"POST": "estimates:read"}

    @extend_schema(
        operation_id="estimate_points",
        request=EstimateRequestSerializer,
        responses=EstimateSerializer,
        summary="Points per day of one unit",
    )
    def post(self, request: Request) -> Response:
        body = self.read_body(EstimateRequestSerializer)
        if self.actor.sees_every_tenant:
            body.setdefault("tenant", None)
        tenant = tenant_of_request(self.actor, body)
        body.pop("tenant", None)
        return Response({"points_per_day": estimate_points(self.actor, tenant=tenant, **body)})


class ProductsView(ApiView):
    scopes = {"GET": "estimates:read"}

    @extend_schema(
        operation_id="list_products", responses=ProductListSerializer, summary="Product types and their parameters"
    )
    def get(self, request: Request) -> Response:
        self.read_query()
        tenants = tenants_of(self.actor)
        reached = [account for tenant in ([None] if tenants is None else tenants) for account in accounts_for(tenant)]
        urls = {account.api_user.api_url for account in reached}
        return Response(
            {"next": None, "previous": None, "results": [_render(product) for product in product_types(urls)]}
        )


def _render(product: ProductType) -> dict[str, Any]:
    return {
        "id": product.id,
        "name": product.name,
        "form": product.form_factor,
        "parameters": [
            {
                "id": item.id,
                "name": item.name,
                "kind": item.kind,
                "min_value": item.min_value,
                "max_value": item.max_value,
                "step": item.step,
                "valid_values": [
                    {"value": choice.value, "description": choice.description} for choice in item.valid_values
                ],
            }
            for item in product.parameters
        ],
    }
