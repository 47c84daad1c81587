"""Statements over REST: issued ones by number, drafts under draft-YYYY-MM-SLUG."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.documents import in_currency
from billing.exports.csv_files import render_statement_csv
from billing.models import Statement
from billing.reading import find_statement, read_evidence, read_statement
from tenants.api import ApiView
from tenants.api.base import PageParameters
from tenants.api.fields import NumberTextField


class PeriodSerializer(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.DateField(), "to": serializers.DateField()}


class LineSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(allow_null=True)
    kind = serializers.CharField()
    serial_number = serializers.CharField(allow_blank=True)
    product = serializers.CharField(allow_blank=True)
    description = serializers.CharField(allow_blank=True)
    quantity = NumberTextField()
    unit = serializers.CharField()
    days = serializers.IntegerField()
    points = NumberTextField()
    unit_price = NumberTextField()
    amount = NumberTextField()
    tax_category = serializers.CharField(allow_blank=True)
    service_from = serializers.DateField()
    service_to = serializers.DateField()


class TaxAmountSerializer(serializers.Serializer[Any]):
    category = serializers.CharField(allow_blank=True)
    rate = NumberTextField()
    base = NumberTextField()
    amount = NumberTextField()
    reason = serializers.CharField(allow_blank=True)


class PartySerializer(serializers.Serializer[Any]):
    """Seller or buyer as the document prints it."""

    name = serializers.CharField()
    customer_code = serializers.CharField(allow_blank=True, required=False, help_text="the buyer's")
    address = serializers.ListField(child=serializers.CharField(), required=False)
    country = serializers.RegexField(r"^[A-Z]{2}$", required=False)
    email = serializers.EmailField(required=False)
    tax_id = serializers.CharField(required=False)


class StatementHeadSerializer(serializers.Serializer[Any]):
    number = serializers.CharField()
    kind = serializers.CharField()
    tenant = serializers.CharField()
    period = PeriodSerializer()
    currency = serializers.CharField()
    status = serializers.CharField()
    issued_at = serializers.DateTimeField(allow_null=True)
    due_on = serializers.DateField(allow_null=True)
    net = NumberTextField()
    total = NumberTextField()


class StatementSerializer(StatementHeadSerializer):
    seller = PartySerializer()
    buyer = PartySerializer()
    references = serializers.ListField(child=serializers.DictField())
    rounding_rule = serializers.CharField()
    lines = LineSerializer(many=True)
    taxes = TaxAmountSerializer(many=True)
    hash = serializers.RegexField(r"^[0-9a-f]{64}$", allow_null=True)
    previous_hash = serializers.RegexField(
        r"^([0-9a-f]{64})?$", allow_null=True, help_text="empty on the first of a series"
    )
    warnings = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="drafts: what is still open"
    )


class StatementPageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = StatementHeadSerializer(many=True)


class StatementFilterSerializer(serializers.Serializer[Any]):
    month = serializers.RegexField(r"^2[0-9]{3}-(0[1-9]|1[0-2])$", required=False)
    tenant = serializers.CharField(max_length=40, required=False)


class EvidenceRowSerializer(serializers.Serializer[Any]):
    day = serializers.DateField()
    serial_number = serializers.CharField()
    points = NumberTextField()
    fetch = serializers.UUIDField()


class EvidenceSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = EvidenceRowSerializer(many=True)


class StatementsView(ApiView):
    scopes = {"GET": "statements:read"}

    @extend_schema(
        operation_id="list_statements",
        parameters=[StatementFilterSerializer, PageParameters],
        responses=StatementPageSerializer,
        summary="Issued statements",
    )
    def get(self, request: Request) -> Response:
        query = self.read_query(StatementFilterSerializer, paged=True)
        rows = Statement.objects.visible_to(self.actor).select_related("tenant")
        if "month" in query:
            rows = rows.filter(period_from=f"{query['month']}-01")
        if "tenant" in query:
            rows = rows.filter(tenant__slug=query["tenant"])
        return Response(self.page(rows, keys=("id",), descending=True, render=_render_head))


class StatementView(ApiView):
    scopes = {"GET": "statements:read"}

    @extend_schema(operation_id="read_statement", responses=StatementSerializer, summary="One statement, or a draft")
    def get(self, request: Request, number: str) -> Response:
        self.read_query()
        return Response(read_statement(self.actor, number))


class StatementCsvView(ApiView):
    scopes = {"GET": "statements:read"}

    @extend_schema(
        operation_id="read_statement_csv",
        responses={(200, "text/csv"): str},
        summary="One issued statement's lines as CSV",
    )
    def get(self, request: Request, number: str) -> Any:
        self.read_query()
        statement = find_statement(self.actor, number)
        response = HttpResponse(render_statement_csv(statement), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{statement.number}.csv"'
        return response


class EvidenceView(ApiView):
    scopes = {"GET": "statements:read"}

    @extend_schema(
        operation_id="read_line_evidence",
        responses=EvidenceSerializer,
        summary="The days behind a line, and who said so",
    )
    def get(self, request: Request, number: str, line_id: UUID) -> Response:
        self.read_query()
        return Response({"next": None, "previous": None, "results": read_evidence(self.actor, number, line_id)})


def _render_head(row: Statement) -> dict[str, Any]:
    names = ("number", "kind", "currency", "status", "issued_at", "due_on")
    return {
        **{name: getattr(row, name) for name in names},
        "tenant": row.tenant.slug,
        "period": {"from": row.period_from, "to": row.period_to},
        "net": in_currency(row.net, row.currency),
        "total": in_currency(row.total, row.currency),
    }
