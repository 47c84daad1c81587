"""The audit trail over REST: a tenant reads its own part, in pages or whole as JSON lines."""

from collections.abc import Iterable
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.actors import Actor
from tenants.api.base import ApiView, PageParameters
from tenants.bodies import dump_json
from tenants.discretion import OPERATOR, is_hidden, own_names
from tenants.models import AuditEntry, AuditSeal
from tenants.problems import Problem
from tenants.sealing import seal_audit

MOST_LINES = 100_000


class AuditFilterSerializer(serializers.Serializer[Any]):
    tenant = serializers.CharField(max_length=40, required=False)
    action = serializers.CharField(max_length=60, required=False)
    subject = serializers.CharField(
        max_length=100, required=False, help_text="the subject's id, such as a serial number"
    )
    request_id = serializers.CharField(max_length=64, required=False)

    def get_fields(self) -> dict[str, Any]:
        days = {name: serializers.DateField(required=False, help_text="UTC day, inclusive") for name in ("from", "to")}
        return {**days, **super().get_fields()}


class AuditEntrySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    tenant = serializers.CharField(allow_null=True)
    actor = serializers.CharField()
    address = serializers.CharField(allow_blank=True)
    action = serializers.CharField()
    subject = serializers.DictField(child=serializers.CharField())
    before = serializers.DictField(allow_null=True)
    after = serializers.DictField(allow_null=True)
    request_id = serializers.CharField(allow_blank=True)
    position = serializers.IntegerField(
        allow_null=True, help_text="its place in the sealed chain; null = not sealed yet"
    )
    hash = serializers.CharField(allow_null=True)


class AuditPageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = AuditEntrySerializer(many=True)


class AuditView(ApiView):
    scopes = {"GET": "audit:read"}

    @extend_schema(
        operation_id="read_audit",
        parameters=[AuditFilterSerializer, PageParameters],
        responses=AuditPageSerializer,
        summary="Who did what, the newest first",
    )
    def get(self, request: Request) -> Response:
        rows = find_entries(self.actor, self.read_query(AuditFilterSerializer, paged=True))
        names = own_names(self.actor)
        return Response(self.page(rows, keys=("id",), descending=True, render=lambda row: render_entry(row, names)))


class AuditExportView(ApiView):
    scopes = {"GET": "audit:read"}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        seal_audit()  # an export says where each entry stands in the chain

    @extend_schema(
        operation_id="export_audit",
        parameters=[AuditFilterSerializer],
        responses={(200, "application/x-ndjson"): str},
        summary="The trail as JSON lines, the oldest first",
    )
    def get(self, request: Request) -> Any:
        rows = find_entries(self.actor, self.read_query(AuditFilterSerializer)).order_by("id")
        if rows[MOST_LINES : MOST_LINES + 1].exists():
            raise Problem("invalid", f"More than {MOST_LINES} entries; narrow the export with from and to.")
        names = own_names(self.actor)
        response = HttpResponse(_lines(rows, names), content_type="application/x-ndjson")
        response["Content-Disposition"] = 'attachment; filename="audit.jsonl"'
        return response


def find_entries(actor: Actor, query: dict[str, Any]) -> "QuerySet[AuditEntry]":
    seal = AuditSeal.objects.filter(entry_id=OuterRef("id"))
    rows: QuerySet[AuditEntry] = AuditEntry.objects.visible_to(actor).select_related("tenant")
    rows = rows.annotate(position=Subquery(seal.values("position")), hash=Subquery(seal.values("hash")))
    columns = {"tenant": "tenant__slug", "action": "action", "subject": "subject_key", "request_id": "request_id"}
    rows = rows.filter(**{columns[name]: value for name, value in query.items() if name in columns})
    if "from" in query:
        rows = rows.filter(at__date__gte=query["from"])
    if "to" in query:
        rows = rows.filter(at__date__lte=query["to"])
    return rows


def render_entry(row: Any, own: frozenset[str] | None) -> dict[str, Any]:
    """What the operator did for a tenant is the tenant's to know; which person or machine of the operator did it, and from where, is not."""
    hidden = is_hidden(row.actor, own)
    return {
        "id": row.id,
        "at": row.at,
        "tenant": row.tenant.slug if row.tenant else None,
        "actor": OPERATOR if hidden else row.actor,
        "address": "" if hidden else row.address,
        "action": row.action,
        "subject": {"type": row.subject_type, "id": row.subject_key},
        "before": row.before,
        "after": row.after,
        "request_id": row.request_id,
        "position": row.position,
        "hash": row.hash,
    }


def _lines(rows: Iterable[Any], own: frozenset[str] | None) -> bytes:
    return b"".join(dump_json(render_entry(row, own)) + b"\n" for row in rows)
