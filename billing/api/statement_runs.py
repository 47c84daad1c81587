"""Statement runs: the operator issues a month, and reads what came of it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.models import StatementRun
from billing.statements import RunReport, issue_statements
from tenants.api import ApiView
from tenants.api.base import PageParameters
from tenants.api.fields import NumberTextField, StrictCharField
from tenants.context import acting_as
from tenants.directory import resolve_tenant


class RunCreateSerializer(serializers.Serializer[Any]):
    month = serializers.RegexField(r"^2[0-9]{3}-(0[1-9]|1[0-2])$")
    tenant = StrictCharField(max_length=40, required=False, help_text="this tenant alone")


class RunReportSerializer(serializers.Serializer[Any]):
    month = serializers.CharField()
    issued = serializers.DictField(child=serializers.CharField())
    already_issued = serializers.DictField(child=serializers.CharField())
    nothing_to_bill = serializers.ListField(child=serializers.CharField())
    not_issued = serializers.DictField(child=serializers.CharField())
    conservation = serializers.CharField()
    completeness = serializers.CharField()


class RunConservationSerializer(serializers.Serializer[Any]):
    fetched = NumberTextField()
    attributed = NumberTextField()
    unassigned = NumberTextField()
    holds = serializers.BooleanField()
    completeness = serializers.CharField()


class SeriesHeadSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    year = serializers.IntegerField()
    hash = serializers.RegexField(r"^[0-9a-f]{64}$")


class RunManifestSerializer(serializers.Serializer[Any]):
    """Empty for a run that did not come to its end."""

    issued = serializers.DictField(child=serializers.CharField(), required=False, help_text="numbers by tenant")
    refused = serializers.DictField(child=serializers.CharField(), required=False, help_text="reasons by tenant")
    heads = serializers.DictField(child=SeriesHeadSerializer(), required=False, help_text="of every tenant's series")
    everybody = serializers.BooleanField(required=False)


class RunSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    month = serializers.CharField()
    issued_at = serializers.DateTimeField()
    asked_by = serializers.CharField()
    conservation = RunConservationSerializer()
    manifest = RunManifestSerializer()


class RunPageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = RunSerializer(many=True)


class StatementRunsView(ApiView):
    scopes = {"GET": "statements:write", "POST": "statements:write"}
    operator_methods = frozenset({"GET", "POST"})

    @extend_schema(
        operation_id="list_statement_runs", parameters=[PageParameters], responses=RunPageSerializer, summary="Runs"
    )
    def get(self, request: Request) -> Response:
        self.read_query(paged=True)
        names = ("id", "month", "issued_at", "asked_by", "conservation", "manifest")
        rows = StatementRun.objects.all()
        return Response(
            self.page(rows, keys=("id",), descending=True, render=lambda row: {n: getattr(row, n) for n in names})
        )

    @extend_schema(
        operation_id="issue_month",
        request=RunCreateSerializer,
        responses={201: RunReportSerializer},
        summary="Issue a month",
    )
    def post(self, request: Request) -> Response:
        body = self.read_body(RunCreateSerializer)
        slugs = None
        if "tenant" in body:
            with acting_as(self.actor):
                tenant = resolve_tenant(self.actor, body["tenant"])
            slugs = [tenant.slug] if tenant else []
        return Response(_render(issue_statements(self.actor, month=body["month"], slugs=slugs)), status=201)


def _render(report: RunReport) -> dict[str, Any]:
    return {
        "month": report.month,
        "issued": report.issued,
        "already_issued": report.already,
        "nothing_to_bill": report.empty,
        "not_issued": report.refused,
        "conservation": report.conservation.in_words(),
        "completeness": report.completeness,
    }
