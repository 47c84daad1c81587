"""FortiCloud API users over REST: the operator's alone; the password goes in and never comes out."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.credentials import (
    DEFAULT_API_URL,
    DEFAULT_AUTH_URL,
    ApiUserFields,
    add_api_user,
    describe_api_user,
    save_api_user,
)
from gateway.models import ApiUser
from tenants.api import ApiView
from tenants.api.base import PageParameters
from tenants.api.fields import StrictBooleanField, StrictCharField, StrictIntegerField
from tenants.context import acting_as
from tenants.directory import resolve_tenant
from tenants.openapi import IDEMPOTENCY_KEY, IF_MATCH
from tenants.problems import not_found

EVERYBODY = frozenset({"GET", "POST", "PATCH"})


class ApiUserChangeSerializer(serializers.Serializer[Any]):
    username = StrictCharField(max_length=200, required=False)
    password = StrictCharField(max_length=200, required=False, write_only=True)
    api_url = StrictCharField(max_length=300, required=False, help_text=f"default {DEFAULT_API_URL}")
    auth_url = StrictCharField(max_length=300, required=False, help_text=f"default {DEFAULT_AUTH_URL}")
    tenant = StrictCharField(
        max_length=40, required=False, allow_null=True, help_text="serves this tenant alone; null = nobody alone"
    )
    per_minute = StrictIntegerField(min_value=1, max_value=100_000, required=False)
    per_hour = StrictIntegerField(min_value=1, max_value=1_000_000, required=False)
    errors_per_hour = StrictIntegerField(min_value=1, max_value=100_000, required=False)
    enabled = StrictBooleanField(required=False)
    tags_follow = StrictBooleanField(
        required=False,
        help_text="bring descriptions at FortiFlex in line with their owners, a few every few minutes; default false",
    )


class ApiUserCreateSerializer(ApiUserChangeSerializer):
    name = serializers.RegexField(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")
    username = StrictCharField(max_length=200)
    password = StrictCharField(max_length=200, write_only=True)


class ApiUserSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    username = serializers.CharField()
    api_url = serializers.CharField()
    auth_url = serializers.CharField()
    tenant = serializers.CharField(allow_null=True)
    per_minute = serializers.IntegerField()
    per_hour = serializers.IntegerField()
    errors_per_hour = serializers.IntegerField()
    enabled = serializers.BooleanField()
    tags_follow = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class ApiUserPageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ApiUserSerializer(many=True)


class ApiUsersView(ApiView):
    scopes = {"GET": "api-users:write", "POST": "api-users:write"}
    operator_methods = EVERYBODY

    @extend_schema(
        operation_id="list_api_users", parameters=[PageParameters], responses=ApiUserPageSerializer, summary="API users"
    )
    def get(self, request: Request) -> Response:
        self.read_query(paged=True)
        return Response(self.page(ApiUser.objects.select_related("tenant"), keys=("name",), render=describe_api_user))

    @extend_schema(
        operation_id="add_api_user",
        parameters=[IDEMPOTENCY_KEY],
        request=ApiUserCreateSerializer,
        responses={201: ApiUserSerializer},
        summary="Add an API user",
    )
    def post(self, request: Request) -> Response:
        body = self.read_body(ApiUserCreateSerializer)
        name = body.pop("name")
        made = add_api_user(self.actor, name=name, fields=_fields(self, body), key=self.read_key())
        return self.answer_made(made, describe_api_user(made.thing), location=f"/api/v1/api-users/{name}")


class ApiUserView(ApiView):
    scopes = {"GET": "api-users:write", "PATCH": "api-users:write"}
    operator_methods = EVERYBODY

    @extend_schema(
        operation_id="read_api_user", responses=ApiUserSerializer, summary="One API user, without its password"
    )
    def get(self, request: Request, name: str) -> Response:
        self.read_query()
        return Response(describe_api_user(_find(name)))

    @extend_schema(
        operation_id="change_api_user",
        parameters=[IF_MATCH],
        request=ApiUserChangeSerializer,
        responses=ApiUserSerializer,
        summary="Change an API user",
    )
    def patch(self, request: Request, name: str) -> Response:
        with acting_as(self.actor):
            self.require_match(describe_api_user(_find(name)))
        row, _ = save_api_user(self.actor, name=name, fields=_fields(self, self.read_body(ApiUserChangeSerializer)))
        return Response(describe_api_user(row))


def _find(name: str) -> ApiUser:
    row = ApiUser.objects.select_related("tenant").filter(name=name).first()
    if row is None:
        raise not_found()
    return row


def _fields(view: ApiView, body: dict[str, Any]) -> ApiUserFields:
    given = dict(body)
    if "tenant" in given:
        with acting_as(view.actor):
            given["tenant"] = resolve_tenant(view.actor, given["tenant"])
        given["serves_everybody"] = given["tenant"] is None
    return ApiUserFields(**given)
