"""Assign and hand over by a CSV list: the operator's alone."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.assignment_lists import COLUMNS, Line, import_assignments
from tenants.api import ApiView
from tenants.csv_bodies import CsvParser


class ImportQuerySerializer(serializers.Serializer[Any]):
    dry_run = serializers.BooleanField(
        required=False, help_text="true: say what would change, from whom to whom, and write nothing"
    )


class ImportedLineSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    serial_number = serializers.CharField()
    owner = serializers.CharField(allow_null=True, help_text="whose that day was before; null = nobody's")
    tenant = serializers.CharField(allow_null=True)
    from_day = serializers.DateField()
    changed = serializers.BooleanField(help_text="false: it was so already")


class ImportedSerializer(serializers.Serializer[Any]):
    dry_run = serializers.BooleanField()
    changed = serializers.IntegerField(help_text="how many lines change something")
    results = ImportedLineSerializer(many=True)


class AssignmentImportView(ApiView):
    scopes = {"POST": "assignments:write"}
    operator_methods = frozenset({"POST"})
    parser_classes = [CsvParser]

    @extend_schema(
        operation_id="import_assignments",
        parameters=[ImportQuerySerializer],
        request={"text/csv": OpenApiTypes.STR},
        responses={200: ImportedSerializer, 201: ImportedSerializer},
        summary="Assign and hand over by a list, all or nothing, in force at once",
        description=f"A header with {', '.join(COLUMNS)}, in any order; commas or semicolons; UTF-8. An empty tenant = unassigned. "
        "A dry run answers 200. A serial may stand on several lines with different days.",
    )
    def post(self, request: Request) -> Response:
        dry_run = bool(self.read_query(ImportQuerySerializer).get("dry_run", False))
        body: Any = request.data
        lines = import_assignments(self.actor, body.get("csv", ""), dry_run=dry_run)
        shown = {
            "dry_run": dry_run,
            "changed": sum(line.step.changed for line in lines),
            "results": [render_line(line) for line in lines],
        }
        return Response(shown, status=200 if dry_run else 201)


def render_line(line: Line) -> dict[str, Any]:
    change, owner = line.step.change, line.step.owner
    return {
        "line": line.number,
        "serial_number": change.serial_number,
        "owner": owner.slug if owner else None,
        "tenant": change.tenant.slug if change.tenant else None,
        "from_day": change.from_day,
        "changed": line.step.changed,
    }
