"""What the operator charges: dated rates, the operator's alone."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.models import Rate
from billing.prices import describe_rate, set_rate
from tenants.api import ApiView
from tenants.api.base import PageParameters
from tenants.api.fields import StrictCharField, StrictDecimalField
from tenants.context import acting_as
from tenants.directory import resolve_tenant
from tenants.idempotency import make_once, row_of
from tenants.openapi import IDEMPOTENCY_KEY


class RateCreateSerializer(serializers.Serializer[Any]):
    tenant = StrictCharField(max_length=40, allow_null=True, help_text="null = the default of this currency")
    currency = serializers.RegexField(r"^[A-Z]{3}$")
    price_per_point = StrictDecimalField(max_digits=18, decimal_places=8, min_value=0)
    from_day = serializers.DateField()
    until_day = serializers.DateField(required=False, allow_null=True, help_text="exclusive")


class RateSerializer(RateCreateSerializer):
    id = serializers.UUIDField()
    created_at = serializers.DateTimeField()


class RatePageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = RateSerializer(many=True)


class PricePlansView(ApiView):
    scopes = {"GET": "prices:write", "POST": "prices:write"}
    operator_methods = frozenset({"GET", "POST"})

    @extend_schema(
        operation_id="list_price_plans", parameters=[PageParameters], responses=RatePageSerializer, summary="Rates"
    )
    def get(self, request: Request) -> Response:
        self.read_query(paged=True)
        return Response(
            self.page(Rate.objects.select_related("tenant"), keys=("id",), descending=True, render=describe_rate)
        )

    @extend_schema(
        operation_id="set_price_plan",
        parameters=[IDEMPOTENCY_KEY],
        request=RateCreateSerializer,
        responses={201: RateSerializer},
        summary="Set a rate",
    )
    def post(self, request: Request) -> Response:
        body = self.read_body(RateCreateSerializer)
        with acting_as(self.actor):
            tenant = resolve_tenant(self.actor, body.pop("tenant"))
            made = make_once(
                self.actor,
                self.read_key(),
                lambda: set_rate(self.actor, tenant=tenant, **body),
                subject=row_of(Rate.objects.select_related("tenant")),
            )
            return self.answer_made(made, describe_rate(made.thing))
