"""Which API user reads which account of a program: the operator's alone."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.by_hand import describe_account, enter_account, find_accounts_of
from tenants.api import ApiView
from tenants.api.base import PageParameters
from tenants.api.fields import StrictCharField, StrictIntegerField


class AccountEntrySerializer(serializers.Serializer[Any]):
    account_id = StrictIntegerField(min_value=1)
    api_user = StrictCharField(max_length=60, help_text="the name of the API user that reads it from now on")


class AccountSerializer(serializers.Serializer[Any]):
    program = serializers.CharField()
    account_id = serializers.IntegerField()
    api_user = serializers.CharField()
    entered_by_hand = serializers.BooleanField(help_text="FortiFlex has not named it so far")
    mirrored_at = serializers.DateTimeField(allow_null=True, help_text="when its last complete list was asked for")


class RefusalSerializer(serializers.Serializer[Any]):
    call = serializers.CharField()
    reason = serializers.CharField()
    times = serializers.IntegerField()
    refused_at = serializers.DateTimeField()
    ask_again_at = serializers.DateTimeField()


class ReadAccountSerializer(AccountSerializer):
    refusal = RefusalSerializer(allow_null=True, help_text="why it can't be read at the moment")


class AccountPageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ReadAccountSerializer(many=True)


class AccountsView(ApiView):
    scopes = {"GET": "programs:read", "POST": "api-users:write"}
    operator_methods = frozenset({"GET", "POST"})

    @extend_schema(
        operation_id="list_accounts",
        parameters=[PageParameters],
        responses=AccountPageSerializer,
        summary="A program's accounts, and which API user reads each",
    )
    def get(self, request: Request, serial: str) -> Response:
        self.read_query(paged=True)

        def fetch(start: Sequence[Any] | None, *, upward: bool, count: int) -> list[dict[str, Any]]:
            return find_accounts_of(serial, beyond=start[0] if start else None, upward=upward, count=count)

        return Response(self.page_by(fetch, keys=("account_id",)))

    @extend_schema(
        operation_id="enter_account",
        request=AccountEntrySerializer,
        responses={200: AccountSerializer, 201: AccountSerializer},
        summary="Enter an account, or let another API user read it",
    )
    def post(self, request: Request, serial: str) -> Response:
        body = self.read_body(AccountEntrySerializer)
        row, created = enter_account(self.actor, program_serial=serial, **body)
        return Response(describe_account(row), status=201 if created else 200)
