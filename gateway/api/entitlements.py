"""Entitlements over REST: list, create, read, change, stop, reactivate, new licence token."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.api.entitlement_bodies import (
    ChangedSerializer,
    CreatedSerializer,
    EntitlementChangeSerializer,
    EntitlementCreateSerializer,
    EntitlementFilterSerializer,
    EntitlementPageSerializer,
    EntitlementSerializer,
    NextTokenSerializer,
    TransferSerializer,
)
from gateway.api.preferences import (
    PREFER,
    AcceptedSerializer,
    answer_unfinished,
    read_manner,
    replay_headers,
)
from gateway.entitlement_list import find_entitlements, read_entitlements, show_made
from gateway.operations import describe_operation
from gateway.provisioning.checks import find_entitlement, tenant_of_request
from gateway.provisioning.create import Wish, create_entitlements
from gateway.provisioning.idempotency import Outcome
from gateway.provisioning.licence import find_next_token, renew_token
from gateway.provisioning.moves import remove_hardware, transfer_entitlements
from gateway.provisioning.switch import reactivate_entitlement, stop_entitlement
from gateway.provisioning.update import update_entitlement
from tenants.api import ApiView
from tenants.api.base import PageParameters
from tenants.context import acting_as
from tenants.openapi import IDEMPOTENCY_KEY, IF_MATCH
from tenants.problems import invalid, not_found


class EntitlementsView(ApiView):
    opens_context = False
    scopes = {"GET": "entitlements:read", "POST": "entitlements:write"}
    narrowed_methods = frozenset({"GET", "POST"})
    presuming_methods = frozenset({"POST"})

    @extend_schema(
        operation_id="list_entitlements",
        parameters=[EntitlementFilterSerializer, PageParameters],
        responses=EntitlementPageSerializer,
        summary="Entitlements, from the mirror",
    )
    def get(self, request: Request) -> Response:
        query, actor = self.read_query(EntitlementFilterSerializer, paged=True), self.actor

        def fetch(start: Sequence[Any] | None, *, upward: bool, count: int) -> list[dict[str, Any]]:
            return find_entitlements(actor, query, beyond=start[0] if start else None, upward=upward, count=count)

        return Response(self.page_by(fetch, keys=("serial_number",)))

    @extend_schema(
        operation_id="create_entitlements",
        parameters=[IDEMPOTENCY_KEY, PREFER],
        request=EntitlementCreateSerializer,
        responses={201: CreatedSerializer, 202: AcceptedSerializer},
        summary="Create entitlements. 202: the outcome is not known yet; look at the operation",
    )
    def post(self, request: Request) -> Response:
        body = self.read_body(EntitlementCreateSerializer)
        key = self.read_key()
        tenant = tenant_of_request(self.actor, body)
        body.pop("tenant", None)
        if "serial_numbers" in body:
            body["serial_numbers"] = tuple(body["serial_numbers"])
        outcome = create_entitlements(self.actor, Wish(**body), tenant=tenant, manner=read_manner(request, key=key))
        unfinished = answer_unfinished(outcome, self.actor)
        if unfinished is not None:
            return unfinished
        made = show_made(self.actor, outcome.operation)
        # Of what an earlier request made, what is the caller's today.
        rows = read_entitlements(self.actor, outcome.operation.serial_numbers) if made is None else made
        if outcome.replayed:
            rows = [row | {"token": None} for row in rows]  # a secret is not repeated
        content = {"operation": describe_operation(outcome.operation, self.actor), "entitlements": rows}
        return Response(content, status=201, headers=replay_headers(outcome))


class EntitlementView(ApiView):
    scopes = {"GET": "entitlements:read", "PATCH": "entitlements:write"}
    narrowed_methods = frozenset({"GET", "PATCH"})

    @extend_schema(operation_id="read_entitlement", responses=EntitlementSerializer, summary="One entitlement")
    def get(self, request: Request, serial: str) -> Response:
        self.read_query()
        find_entitlement(self.actor, serial)
        return Response(_read(self, [serial])[0])

    @extend_schema(
        operation_id="change_entitlement",
        parameters=[IF_MATCH, PREFER],
        request=EntitlementChangeSerializer,
        responses={200: ChangedSerializer, 202: AcceptedSerializer},
        summary="Change text, end date, labels or config; parameters resize this one alone",
    )
    def patch(self, request: Request, serial: str) -> Response:
        with acting_as(self.actor):
            find_entitlement(self.actor, serial)
            before = _read(self, [serial])[0]
            self.require_match(before)  # before the body is looked at; again once nobody else can change it

        def unless_changed() -> None:
            if "If-Match" in request.headers:
                self.require_match(_read(self, [serial])[0])

        changes = self.read_body(EntitlementChangeSerializer)
        if not changes:
            raise invalid("/", "Name at least one field to change.")
        manner = read_manner(request)
        outcome = update_entitlement(self.actor, serial, changes=changes, manner=manner, unless=unless_changed)
        answer = _answer(self, serial, outcome)
        if answer.status_code == 200 and answer.data["config"] != before["config"] and "parameters" in changes:
            # Others depend on the config that it stood under, so it has one of its own now.
            answer.data = {**answer.data, "moved_from_config": before["config"]}
        return answer


class StopView(ApiView):
    scopes = {"POST": "entitlements:switch"}
    narrowed_methods = frozenset({"POST"})

    @extend_schema(
        operation_id="stop_entitlement",
        parameters=[PREFER],
        request=None,
        responses={200: EntitlementSerializer, 202: AcceptedSerializer},
        summary="Stop: it consumes to the end of today's billing day",
    )
    def post(self, request: Request, serial: str) -> Response:
        self.read_body(serializers.Serializer)
        return _answer(self, serial, stop_entitlement(self.actor, serial, manner=read_manner(request)))


class ReactivateView(ApiView):
    scopes = {"POST": "entitlements:switch"}
    narrowed_methods = frozenset({"POST"})

    @extend_schema(
        operation_id="reactivate_entitlement",
        parameters=[PREFER],
        request=None,
        responses={200: EntitlementSerializer, 202: AcceptedSerializer},
        summary="Reactivate: it consumes from today's billing day on",
    )
    def post(self, request: Request, serial: str) -> Response:
        self.read_body(serializers.Serializer)
        return _answer(self, serial, reactivate_entitlement(self.actor, serial, manner=read_manner(request)))


class RenewTokenView(ApiView):
    scopes = {"POST": "entitlements:write"}
    narrowed_methods = frozenset({"POST"})

    @extend_schema(
        operation_id="renew_licence_token",
        parameters=[PREFER],
        request=None,
        responses={200: EntitlementSerializer, 202: AcceptedSerializer},
        summary="A new licence token",
    )
    def post(self, request: Request, serial: str) -> Response:
        self.read_body(serializers.Serializer)
        return _answer(self, serial, renew_token(self.actor, serial, manner=read_manner(request)))


class TransferView(ApiView):
    """Which other configs a transfer touches can't be told from the serial, so a narrowed token may not."""

    scopes = {"POST": "entitlements:write"}

    @extend_schema(
        operation_id="transfer_entitlement",
        parameters=[IDEMPOTENCY_KEY, PREFER],
        request=TransferSerializer,
        responses={200: EntitlementSerializer, 202: AcceptedSerializer},
        summary="Move to another account of the same program",
    )
    def post(self, request: Request, serial: str) -> Response:
        body = self.read_body(TransferSerializer)
        key = self.read_key()
        manner = read_manner(request, key=key)
        outcome = transfer_entitlements(
            self.actor,
            serials=[serial],
            target_account=body["account_id"],
            target_config=body.get("config"),
            manner=manner,
        )
        return _answer(self, serial, outcome)


class RemoveView(ApiView):
    scopes = {"POST": "entitlements:write"}
    narrowed_methods = frozenset({"POST"})

    @extend_schema(
        operation_id="remove_entitlement",
        parameters=[PREFER],
        request=None,
        responses={200: EntitlementSerializer, 202: AcceptedSerializer},
        summary="Take a hardware serial out of FortiFlex",
    )
    def post(self, request: Request, serial: str) -> Response:
        self.read_body(serializers.Serializer)
        return _answer(self, serial, remove_hardware(self.actor, serials=[serial], manner=read_manner(request)))


class NextTokenView(ApiView):
    scopes = {"POST": "entitlements:write"}
    narrowed_methods = frozenset({"POST"})

    @extend_schema(
        operation_id="find_next_token",
        request=NextTokenSerializer,
        responses=EntitlementSerializer,
        summary="The first entitlement with an unused licence token; it is not reserved",
    )
    def post(self, request: Request) -> Response:
        body = self.read_body(NextTokenSerializer)
        with acting_as(self.actor):
            row = find_next_token(self.actor, config=body.get("config"), folder_path=body.get("folder_path"))
        return Response(_read(self, [row.serial_number])[0])


def _answer(view: ApiView, serial: str, outcome: Outcome | None) -> Response:
    """The entitlement as it stands now; None = nothing had to go upstream."""
    if outcome is None:
        return Response(_read(view, [serial])[0])
    unfinished = answer_unfinished(outcome, view.actor)
    return unfinished if unfinished is not None else Response(_read(view, [serial])[0], headers=replay_headers(outcome))


def _read(view: ApiView, serials: list[str]) -> list[dict[str, Any]]:
    found = read_entitlements(view.actor, serials)
    if not found:
        raise not_found()  # it was handed over while FortiFlex was asked: what became of the write stands in its operation
    return found
