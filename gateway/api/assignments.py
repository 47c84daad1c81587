"""Who owns what from which day: the operator's alone."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.adoption import read_proposals
from gateway.models import Assignment
from gateway.ownership import assign_serials, find_periods
from tenants.api import ApiView
from tenants.api.base import PageParameters
from tenants.api.fields import StrictCharField
from tenants.context import acting_as
from tenants.directory import resolve_tenant
from tenants.idempotency import Subject, make_once
from tenants.openapi import IDEMPOTENCY_KEY


class AssignmentCreateSerializer(serializers.Serializer[Any]):
    serials = serializers.ListField(child=StrictCharField(max_length=40), min_length=1, max_length=5000)
    tenant = StrictCharField(max_length=40, allow_null=True, help_text="null = nobody owns them from that day on")
    from_day = serializers.DateField(help_text="the first billing day of the new owner; a past day moves points too")


class AssignmentSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    tenant = serializers.CharField()
    serial_number = serializers.CharField()
    from_day = serializers.DateField()
    until_day = serializers.DateField(allow_null=True, help_text="exclusive")
    description = serializers.CharField(allow_blank=True)
    labels = serializers.DictField(child=serializers.CharField())
    created_at = serializers.DateTimeField()


class AssignedSerializer(serializers.Serializer[Any]):
    assignments = AssignmentSerializer(many=True)


class AssignmentPageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = AssignmentSerializer(many=True)


class AssignmentFilterSerializer(serializers.Serializer[Any]):
    serial_number = serializers.CharField(max_length=40, required=False)
    tenant = serializers.CharField(max_length=40, required=False)


class ProposalSerializer(serializers.Serializer[Any]):
    serial_number = serializers.CharField()
    tenant = serializers.CharField()
    from_day = serializers.DateField()
    tenant_exists = serializers.BooleanField()


class ProposalListSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ProposalSerializer(many=True)


class AssignmentsView(ApiView):
    scopes = {"GET": "assignments:write", "POST": "assignments:write"}
    operator_methods = frozenset({"GET", "POST"})

    @extend_schema(
        operation_id="list_assignments",
        parameters=[AssignmentFilterSerializer, PageParameters],
        responses=AssignmentPageSerializer,
        summary="Assignments",
    )
    def get(self, request: Request) -> Response:
        query = self.read_query(AssignmentFilterSerializer, paged=True)
        rows = Assignment.objects.visible_to(self.actor).select_related("tenant")
        if "serial_number" in query:
            rows = rows.filter(serial_number=query["serial_number"])
        if "tenant" in query:
            rows = rows.filter(tenant__slug=query["tenant"])
        return Response(self.page(rows, keys=("serial_number", "from_day"), render=render_assignment))

    @extend_schema(
        operation_id="assign_serials",
        parameters=[IDEMPOTENCY_KEY],
        request=AssignmentCreateSerializer,
        responses={201: AssignedSerializer},
        summary="Assign or hand over serials, all or nothing, in force at once",
    )
    def post(self, request: Request) -> Response:
        body = self.read_body(AssignmentCreateSerializer)
        with acting_as(self.actor):
            wish = body | {"tenant": resolve_tenant(self.actor, body["tenant"])}
            made = make_once(
                self.actor,
                self.read_key(),
                lambda: assign_serials(self.actor, **wish),
                # Who repeats it late must not take back what somebody decided since: it is told what still stands of it.
                subject=Subject("assignments", lambda rows: body["from_day"], lambda _: find_periods(**wish)),
            )
        return self.answer_made(made, {"assignments": [render_assignment(row) for row in made.thing]})


class ProposalsView(ApiView):
    scopes = {"GET": "assignments:write"}
    operator_methods = frozenset({"GET"})

    @extend_schema(
        operation_id="list_proposals",
        responses=ProposalListSerializer,
        summary="Owners that tags propose; confirm with POST assignments",
    )
    def get(self, request: Request) -> Response:
        self.read_query()
        found = read_proposals(self.actor)
        rows = [
            {
                "serial_number": p.serial_number,
                "tenant": p.slug,
                "from_day": p.from_day,
                "tenant_exists": p.tenant_exists,
            }
            for p in found
        ]
        return Response({"next": None, "previous": None, "results": rows})


def render_assignment(row: Assignment) -> dict[str, Any]:
    names = ("id", "serial_number", "from_day", "until_day", "description", "labels", "created_at")
    return {"tenant": row.tenant.slug} | {name: getattr(row, name) for name in names}
