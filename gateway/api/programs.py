"""Programs that the caller may use, with the balance where it tells nothing about anybody else; and those that the operator enters."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.by_hand import ProgramFields, enter_program
from gateway.models import Program
from gateway.program_list import find_programs
from tenants.api import ApiView
from tenants.api.base import PageParameters
from tenants.api.fields import NumberTextField, StrictCharField, StrictIntegerField
from tenants.context import acting_as
from tenants.idempotency import make_once, row_of
from tenants.openapi import IDEMPOTENCY_KEY
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

    @extend_schema(
        operation_id="list_programs",
        parameters=[PageParameters],
        responses=ProgramListSerializer,
        summary="Programs this token may use",
    )
    def get(self, request: Request) -> Response:
        self.read_query(paged=True)
        actor = self.actor

        def fetch(start: Sequence[Any] | None, *, upward: bool, count: int) -> list[dict[str, Any]]:
            return find_programs(actor, beyond=start[0] if start else None, upward=upward, count=count)

        return Response(self.page_by(fetch, keys=("program",)))

    @extend_schema(
        operation_id="enter_program",
        parameters=[IDEMPOTENCY_KEY],
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
        programs = row_of(Program.objects.all())
        made = make_once(self.actor, self.read_key(), lambda: enter_program(self.actor, fields), subject=programs)
        with acting_as(self.actor):
            [shown] = find_programs(self.actor, serial=made.thing.pk)
        return self.answer_made(made, shown, location=f"/api/v1/programs/{made.thing.pk}")


class ProgramView(ApiView):
    scopes = {"GET": "programs:read"}

    @extend_schema(operation_id="read_program", responses=ProgramSerializer, summary="One program")
    def get(self, request: Request, serial: str) -> Response:
        self.read_query()
        found = find_programs(self.actor, serial=serial)
        if not found:
            raise not_found()
        return Response(found[0])
