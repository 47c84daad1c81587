"""Programs that the caller may use, with the balance where it tells nothing about anybody else; and those that the operator enters."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.by_hand import ProgramFields, enter_program
from gateway.consumption import points_this_month
from gateway.days import today
from gateway.models import Program
from gateway.reach import is_used_by_one_tenant, programs_of_any
from tenants.api import ApiView
from tenants.api.fields import NumberTextField, StrictCharField, StrictIntegerField
from tenants.context import acting_as
from tenants.directory import tenants_of
from tenants.problems import not_found


class ProgramSerializer(serializers.Serializer[Any]):
    program = serializers.CharField()
    account_id = serializers.IntegerField()
    start_date = serializers.DateField(allow_null=True)
    end_date = serializers.DateField(allow_null=True)
    prepaid = serializers.BooleanField()
    point_balance = NumberTextField(allow_null=True, help_text="prepaid, and for whom alone may use the program")
    points_this_month = NumberTextField(help_text="the caller's own points since the first of the month")


class ProgramEntrySerializer(serializers.Serializer[Any]):
    serial_number = serializers.RegexField(r"^[A-Za-z0-9]{1,32}$")
    account_id = StrictIntegerField(min_value=1, help_text="the account that registered it")
    api_user = StrictCharField(max_length=60, help_text="the name of the API user that reads this account")
    start_date = serializers.DateField(required=False, allow_null=True)
    end_date = serializers.DateField(required=False, allow_null=True)


class ProgramListSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ProgramSerializer(many=True)


class ProgramsView(ApiView):
    scopes = {"GET": "programs:read", "POST": "api-users:write"}
    operator_methods = frozenset({"POST"})

    @extend_schema(operation_id="list_programs", responses=ProgramListSerializer, summary="Programs this token may use")
    def get(self, request: Request) -> Response:
        self.read_query()
        return Response(
            {"next": None, "previous": None, "results": [_render(self, program) for program in _usable(self)]}
        )

    @extend_schema(
        operation_id="enter_program",
        request=ProgramEntrySerializer,
        responses={201: ProgramSerializer},
        summary="Enter a program that FortiFlex does not list",
    )
    def post(self, request: Request) -> Response:
        body = self.read_body(ProgramEntrySerializer)
        fields = ProgramFields(
            serial_number=body["serial_number"],
            account_id=body["account_id"],
            api_user=body["api_user"],
            start_day=body.get("start_date"),
            end_day=body.get("end_date"),
        )
        program = enter_program(self.actor, fields)
        with acting_as(self.actor):
            content = _render(self, program)
        location = f"/api/v1/programs/{program.serial_number}"
        return Response(content, status=201, headers={"Location": location})


class ProgramView(ApiView):
    scopes = {"GET": "programs:read"}

    @extend_schema(operation_id="read_program", responses=ProgramSerializer, summary="One program")
    def get(self, request: Request, serial: str) -> Response:
        self.read_query()
        program = next((program for program in _usable(self) if program.serial_number == serial), None)
        if program is None:
            raise not_found()
        return Response(_render(self, program))


def _usable(view: ApiView) -> list[Program]:
    return programs_of_any(tenants_of(view.actor))


def _render(view: ApiView, program: Program) -> dict[str, Any]:
    tenants, day = tenants_of(view.actor), today()
    alone = tenants is None or any(is_used_by_one_tenant(program.serial_number, tenant) for tenant in tenants)
    points = points_this_month(view.actor, first=day.replace(day=1), last=day, program_serial=program.serial_number)
    return {
        "program": program.serial_number,
        "account_id": program.account_id,
        "start_date": program.start_day,
        "end_date": program.end_day,
        "prepaid": program.is_prepaid,
        "point_balance": program.point_balance if alone else None,
        "points_this_month": points,
    }
