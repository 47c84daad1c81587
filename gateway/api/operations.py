"""The journal over REST: what was asked of FortiFlex, and what came of it."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.api.preferences import OperationSerializer
from gateway.models import Operation
from gateway.operations import cancel_operation, describe_operation, describe_operations, find_operation
from gateway.resolving import resolve_operation
from tenants.api import ApiView
from tenants.api.base import PageParameters
from tenants.api.fields import StrictBooleanField, StrictCharField, StrictIntegerField
from tenants.context import acting_as


class OperationPageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = OperationSerializer(many=True)


class OperationFilterSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=Operation.State.values, required=False)
    kind = serializers.ChoiceField(choices=Operation.Kind.values, required=False)


class ResolveSerializer(serializers.Serializer[Any]):
    done = StrictBooleanField(help_text="true: it was done or is dealt with; false: it was not done")
    reason = StrictCharField(max_length=500)
    entitlements = serializers.ListField(
        child=StrictCharField(max_length=40), max_length=100, required=False, help_text="what a creation made"
    )
    config = StrictIntegerField(min_value=1, required=False, help_text="which one the creation of a config made")


class OperationsView(ApiView):
    scopes = {"GET": "operations:read"}
    narrowed_methods = frozenset({"GET"})

    @extend_schema(
        operation_id="list_operations",
        parameters=[OperationFilterSerializer, PageParameters],
        responses=OperationPageSerializer,
        summary="Operations, the newest first",
    )
    def get(self, request: Request) -> Response:
        query = self.read_query(OperationFilterSerializer, paged=True)
        rows = Operation.objects.visible_to(self.actor).select_related("tenant").filter(**query)
        shown: dict[UUID, dict[str, Any]] = {}
        return Response(
            self.page(
                rows,
                keys=("id",),
                descending=True,
                prepare=lambda page: shown.update(describe_operations(page, self.actor)),
                render=lambda row: shown[row.id],
            )
        )


class OperationView(ApiView):
    scopes = {"GET": "operations:read"}
    narrowed_methods = frozenset({"GET"})

    @extend_schema(operation_id="read_operation", responses=OperationSerializer, summary="One operation")
    def get(self, request: Request, operation_id: UUID) -> Response:
        self.read_query()
        return Response(describe_operation(find_operation(self.actor, operation_id), self.actor))


class CancelView(ApiView):
    """Whoever may ask for a write may call it back: the scope is that of the operation's kind."""

    scopes = {"POST": "operations:read"}
    narrowed_methods = frozenset({"POST"})

    @extend_schema(
        operation_id="cancel_operation",
        request=None,
        responses=OperationSerializer,
        summary="Cancel what is not sent yet",
    )
    def post(self, request: Request, operation_id: UUID) -> Response:
        self.read_body(serializers.Serializer)
        with acting_as(self.actor):
            kind = find_operation(self.actor, operation_id).kind
        switches = kind in {Operation.Kind.STOP, Operation.Kind.REACTIVATE}
        needed = "entitlements:switch" if switches else "entitlements:write"
        self.require_scope("configs:write" if kind.endswith("_config") else needed)
        return Response(describe_operation(cancel_operation(self.actor, operation_id), self.actor))


class ResolveView(ApiView):
    scopes = {"POST": "entitlements:write"}
    operator_methods = frozenset({"POST"})

    @extend_schema(
        operation_id="resolve_operation",
        request=ResolveSerializer,
        responses=OperationSerializer,
        summary="Settle an unknown one by hand",
    )
    def post(self, request: Request, operation_id: UUID) -> Response:
        body = self.read_body(ResolveSerializer)
        operation = resolve_operation(self.actor, operation_id, **body)
        return Response(describe_operation(operation, self.actor))
