"""Configs over REST: list, create, change, enable, disable, offer."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.api.parameters import ParameterSerializer
from gateway.api.preferences import (
    PREFER,
    AcceptedSerializer,
    OperationSerializer,
    answer_unfinished,
    read_manner,
    replay_headers,
)
from gateway.models import Config, ConfigOffer
from gateway.operations import describe_operation
from gateway.provisioning.checks import find_config, tenant_of_request
from gateway.provisioning.configs import create_config, switch_config, update_config
from gateway.provisioning.idempotency import Outcome
from gateway.provisioning.offers import offer_config, withdraw_offer
from tenants.actors import Actor
from tenants.api import ApiView
from tenants.api.base import PageParameters
from tenants.api.fields import NumberTextField, StrictCharField, StrictIntegerField
from tenants.context import acting_as
from tenants.openapi import IDEMPOTENCY_KEY, IF_MATCH
from tenants.problems import invalid


class ConfigCreateSerializer(serializers.Serializer[Any]):
    program = StrictCharField(max_length=32)
    name = StrictCharField(max_length=300)
    product_type_id = StrictIntegerField(min_value=1, max_value=100_000)
    parameters = serializers.ListField(child=ParameterSerializer(), max_length=200)
    account_id = StrictIntegerField(min_value=1, required=False)
    tenant = StrictCharField(
        required=False, allow_null=True, max_length=40, help_text="an operator must name it; null = catalogue"
    )


class ConfigChangeSerializer(serializers.Serializer[Any]):
    name = StrictCharField(max_length=300, required=False)
    parameters = serializers.ListField(child=ParameterSerializer(), required=False, min_length=1, max_length=200)


class ConfigSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    program = serializers.CharField()
    account_id = serializers.IntegerField()
    tenant = serializers.CharField(allow_null=True, help_text="null = your provider's")
    status = serializers.CharField()
    product_type_id = serializers.IntegerField()
    product = serializers.CharField()
    parameters = ParameterSerializer(many=True)
    points_per_day = NumberTextField(allow_null=True)


class ConfigPageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ConfigSerializer(many=True)


class ConfigCreatedSerializer(serializers.Serializer[Any]):
    operation = OperationSerializer()
    config = ConfigSerializer()


class OfferSerializer(serializers.Serializer[Any]):
    tenant = StrictCharField(max_length=40)


class OfferListSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = OfferSerializer(many=True)


class ConfigsView(ApiView):
    scopes = {"GET": "configs:read", "POST": "configs:write"}
    narrowed_methods = frozenset({"GET"})

    @extend_schema(
        operation_id="list_configs",
        parameters=[PageParameters],
        responses=ConfigPageSerializer,
        summary="Own configs, offered ones, and those in use",
    )
    def get(self, request: Request) -> Response:
        self.read_query(paged=True)
        rows = Config.objects.visible_to(self.actor).filter(vanished_at__isnull=True).select_related("tenant")
        return Response(self.page(rows, keys=("id",), render=lambda row: render_config(row, self.actor)))

    @extend_schema(
        operation_id="create_config",
        parameters=[IDEMPOTENCY_KEY, PREFER],
        request=ConfigCreateSerializer,
        responses={201: ConfigCreatedSerializer, 202: AcceptedSerializer},
        summary="Create a config",
    )
    def post(self, request: Request) -> Response:
        body = self.read_body(ConfigCreateSerializer)
        key = self.read_key()
        tenant = tenant_of_request(self.actor, body)
        body.pop("tenant", None)
        manner = read_manner(request, key=key)
        outcome = create_config(self.actor, tenant=tenant, priced=True, manner=manner, **body)
        unfinished = answer_unfinished(outcome, self.actor)
        if unfinished is not None:
            return unfinished
        with acting_as(self.actor):
            config = render_config(find_config(self.actor, outcome.operation.config_id or 0), self.actor)
        content = {"operation": describe_operation(outcome.operation, self.actor), "config": config}
        return Response(content, status=201, headers=replay_headers(outcome))


class ConfigView(ApiView):
    scopes = {"GET": "configs:read", "PATCH": "configs:write"}
    narrowed_methods = frozenset({"GET", "PATCH"})

    @extend_schema(operation_id="read_config", responses=ConfigSerializer, summary="One config")
    def get(self, request: Request, config_id: int) -> Response:
        self.read_query()
        return Response(render_config(find_config(self.actor, config_id), self.actor))

    @extend_schema(
        operation_id="change_config",
        parameters=[IF_MATCH, PREFER],
        request=ConfigChangeSerializer,
        responses={200: ConfigSerializer, 202: AcceptedSerializer},
        summary="Rename or resize an own config; resizing re-prices all under it",
    )
    def patch(self, request: Request, config_id: int) -> Response:
        def unless_changed() -> None:
            if "If-Match" in request.headers:
                self.require_match(render_config(find_config(self.actor, config_id), self.actor))

        with acting_as(self.actor):
            find_config(self.actor, config_id)
            unless_changed()  # before the body is looked at; again once nobody else can change it
        changes = self.read_body(ConfigChangeSerializer)
        if not changes:
            raise invalid("/", "Name at least one field to change.")
        manner = read_manner(request)
        outcome = update_config(self.actor, config_id, manner=manner, unless=unless_changed, **changes)
        return _answer(self, config_id, outcome)


class ConfigSwitchView(ApiView):
    """`…/enable` and `…/disable`."""

    scopes = {"POST": "configs:write"}
    narrowed_methods = frozenset({"POST"})
    enabled = True

    @extend_schema(
        parameters=[PREFER],
        request=None,
        responses={200: ConfigSerializer, 202: AcceptedSerializer},
        summary="Enable or disable an own config",
    )
    def post(self, request: Request, config_id: int) -> Response:
        self.read_body(serializers.Serializer)
        return _answer(
            self, config_id, switch_config(self.actor, config_id, enabled=self.enabled, manner=read_manner(request))
        )


class OffersView(ApiView):
    scopes = {"GET": "configs:write", "POST": "configs:write"}
    operator_methods = frozenset({"GET", "POST"})

    @extend_schema(
        operation_id="list_offers", responses=OfferListSerializer, summary="Tenants that may use this config"
    )
    def get(self, request: Request, config_id: int) -> Response:
        self.read_query()
        find_config(self.actor, config_id)
        slugs = (
            ConfigOffer.objects.filter(config_id=config_id)
            .order_by("tenant__slug")
            .values_list("tenant__slug", flat=True)
        )
        return Response({"next": None, "previous": None, "results": [{"tenant": slug} for slug in slugs]})

    @extend_schema(
        operation_id="offer_config",
        request=OfferSerializer,
        responses={201: OfferSerializer},
        summary="Let a tenant use it",
    )
    def post(self, request: Request, config_id: int) -> Response:
        body = self.read_body(OfferSerializer)
        offer_config(self.actor, config_id, tenant_slug=body["tenant"])
        return Response(body, status=201)


class OfferView(ApiView):
    scopes = {"DELETE": "configs:write"}
    operator_methods = frozenset({"DELETE"})

    @extend_schema(
        operation_id="withdraw_offer", responses={204: None}, summary="Take an offer back; what stands under it stays"
    )
    def delete(self, request: Request, config_id: int, slug: str) -> Response:
        withdraw_offer(self.actor, config_id, tenant_slug=slug)
        return Response(status=204)


def render_config(row: Config, actor: Actor) -> dict[str, Any]:
    """A config that another tenant made, and that is under an entitlement handed over, shows neither its name nor its owner."""
    foreign = row.tenant_id is not None and not actor.sees_every_tenant and row.tenant_id not in actor.tenant_ids
    return {
        "id": row.id,
        "name": f"config {row.id}" if foreign else row.name,
        "program": row.program_id,
        "account_id": row.account_id,
        "tenant": None if foreign or row.tenant_id is None else row.tenant.slug,  # type: ignore[union-attr]
        "status": row.status,
        "product_type_id": row.product_type_id,
        "product": row.product,
        "parameters": row.parameters,
        "points_per_day": row.points_per_day,
    }


def _answer(view: ApiView, config_id: int, outcome: Outcome | None) -> Response:
    unfinished = answer_unfinished(outcome, view.actor) if outcome is not None else None
    if unfinished is not None:
        return unfinished
    with acting_as(view.actor):
        return Response(render_config(find_config(view.actor, config_id), view.actor))
