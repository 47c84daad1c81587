"""Tenants over REST: the operator writes, a tenant reads its own."""

import re
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api.base import ApiView, PageParameters
from tenants.api.fields import StrictBooleanField, StrictCharField, StrictDecimalField, StrictIntegerField
from tenants.context import acting_as
from tenants.directory import create_tenant, describe_tenant, find_tenant, update_tenant
from tenants.idempotency import make_once, row_of
from tenants.models import Tenant
from tenants.openapi import IDEMPOTENCY_KEY, IF_MATCH
from tenants.problems import invalid


class TaxSerializer(serializers.Serializer[Any]):
    """One tax of a tenant: EN 16931 category (S standard, Z zero, E exempt, AE reverse charge…) and rate in per cent."""

    category = serializers.RegexField(r"^[A-Z]{1,2}$")
    rate = StrictDecimalField(max_digits=6, decimal_places=3, min_value=0, max_value=100)
    reason = StrictCharField(max_length=200, required=False)


class BillingProfileSerializer(serializers.Serializer[Any]):
    """What a statement prints of the buyer. Without `tax` nothing is issued."""

    name = StrictCharField(max_length=200, required=False)
    address = serializers.ListField(child=StrictCharField(max_length=200), max_length=8, required=False)
    country = serializers.RegexField(r"^[A-Z]{2}$", required=False)
    email = serializers.EmailField(required=False)
    tax_id = StrictCharField(max_length=40, required=False)
    payment_days = StrictIntegerField(min_value=0, max_value=365, required=False)
    tax = TaxSerializer(required=False)


class LimitsSerializer(serializers.Serializer[Any]):
    """Guards before money is spent; left out = no limit."""

    entitlements = StrictIntegerField(min_value=0, required=False)
    points_per_day = StrictDecimalField(max_digits=14, decimal_places=4, min_value=0, required=False)
    requests_per_minute = StrictIntegerField(min_value=1, max_value=1_000_000, required=False)
    errors_per_hour = StrictIntegerField(
        min_value=1,
        max_value=100,
        required=False,
        help_text="writes that FortiFlex may refuse before this tenant waits",
    )
    products = serializers.ListField(
        child=StrictIntegerField(min_value=1, max_value=100_000), max_length=200, required=False, help_text="type ids"
    )


class TenantChangeSerializer(serializers.Serializer[Any]):
    name = StrictCharField(max_length=200, required=False)
    currency = serializers.RegexField(r"^[A-Z]{3}$", required=False)
    customer_code = StrictCharField(max_length=100, allow_blank=True, required=False)
    internal = StrictBooleanField(required=False)
    status = serializers.ChoiceField(choices=["active", "suspended"], required=False)
    billing_profile = BillingProfileSerializer(required=False)
    programs = serializers.ListField(
        child=StrictCharField(max_length=32), allow_null=True, required=False, max_length=100
    )
    account_ids = serializers.ListField(
        child=StrictIntegerField(min_value=1), allow_null=True, required=False, max_length=1000
    )
    limits = LimitsSerializer(required=False)


class TenantCreateSerializer(TenantChangeSerializer):
    slug = serializers.RegexField(re.compile(r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$"))
    name = StrictCharField(max_length=200)
    currency = serializers.RegexField(r"^[A-Z]{3}$")


class TenantSerializer(TenantCreateSerializer):
    created_at = serializers.DateTimeField()


class TenantPageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = TenantSerializer(many=True)


class TenantsView(ApiView):
    scopes = {"GET": None, "POST": "tenants:write"}
    operator_methods = frozenset({"POST"})

    @extend_schema(
        operation_id="list_tenants",
        parameters=[PageParameters],
        responses=TenantPageSerializer,
        summary="Tenants this token sees",
    )
    def get(self, request: Request) -> Response:
        self.read_query(paged=True)
        return Response(self.page(Tenant.objects.visible_to(self.actor), keys=("slug",), render=describe_tenant))

    @extend_schema(
        operation_id="create_tenant",
        parameters=[IDEMPOTENCY_KEY],
        request=TenantCreateSerializer,
        responses={201: TenantSerializer},
        summary="Create a tenant",
    )
    def post(self, request: Request) -> Response:
        body = self.read_body(TenantCreateSerializer)
        made = make_once(
            self.actor,
            self.read_key(),
            lambda: create_tenant(self.actor, **body),
            subject=row_of(Tenant.objects.visible_to(self.actor)),
        )
        return self.answer_made(made, describe_tenant(made.thing), location=f"/api/v1/tenants/{made.thing.slug}")


class TenantView(ApiView):
    scopes = {"GET": None, "PATCH": "tenants:write"}
    operator_methods = frozenset({"PATCH"})

    @extend_schema(operation_id="read_tenant", responses=TenantSerializer, summary="One tenant")
    def get(self, request: Request, slug: str) -> Response:
        self.read_query()
        return Response(describe_tenant(find_tenant(self.actor, slug)))

    @extend_schema(
        operation_id="change_tenant",
        parameters=[IF_MATCH],
        request=TenantChangeSerializer,
        responses=TenantSerializer,
        summary="Change a tenant",
    )
    def patch(self, request: Request, slug: str) -> Response:
        changes = self.read_body(TenantChangeSerializer)
        if not changes:
            raise invalid("/", "Name at least one field to change.")
        with acting_as(self.actor):
            tenant = find_tenant(self.actor, slug)
            self.require_match(describe_tenant(tenant))
            tenant = update_tenant(self.actor, tenant, changes=changes)
        return Response(describe_tenant(tenant))
