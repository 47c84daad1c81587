"""Points over time, from the ledger: each tenant its own days, past owners too."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.consumption import GROUPS, read_consumption
from gateway.models import Assignment, Entitlement
from tenants.api import ApiView
from tenants.api.fields import NumberTextField
from tenants.problems import invalid, not_found

LONGEST_RANGE = 3660  # days; ten years


class RangeSerializer(serializers.Serializer[Any]):
    group_by = serializers.ChoiceField(choices=sorted(GROUPS), default="day")

    def get_fields(self) -> dict[str, Any]:
        # `from` is a keyword, so the pair of days is named here.
        days = {name: serializers.DateField(help_text="billing day, inclusive") for name in ("from", "to")}
        return {**days, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["from"] > attrs["to"]:
            raise serializers.ValidationError({"from": "from is after to."})
        if (attrs["to"] - attrs["from"]).days > LONGEST_RANGE:
            raise serializers.ValidationError({"to": "Ask for at most ten years at once."})
        return attrs


class ConsumptionRowSerializer(serializers.Serializer[Any]):
    """One of day, month, serial_number, config, product, label; and points."""

    day = serializers.DateField(required=False)
    month = serializers.RegexField(r"^[0-9]{4}-[0-9]{2}$", required=False)
    serial_number = serializers.CharField(required=False)
    config = serializers.IntegerField(required=False, allow_null=True)
    product = serializers.CharField(required=False, allow_null=True)
    label = serializers.CharField(required=False, allow_null=True)  # type: ignore[assignment]
    points = NumberTextField()


class ConsumptionSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ConsumptionRowSerializer(many=True)


class ConsumptionView(ApiView):
    scopes = {"GET": "consumption:read"}

    @extend_schema(
        operation_id="read_consumption",
        parameters=[RangeSerializer],
        responses=ConsumptionSerializer,
        summary="Points over time",
    )
    def get(self, request: Request) -> Response:
        query = self.read_query(RangeSerializer)
        rows = read_consumption(self.actor, first=query["from"], last=query["to"], group_by=query["group_by"])
        return Response({"next": None, "previous": None, "results": rows})


class EntitlementConsumptionView(ApiView):
    scopes = {"GET": "consumption:read"}
    narrowed_methods = frozenset({"GET"})

    @extend_schema(
        operation_id="read_entitlement_consumption",
        parameters=[RangeSerializer],
        responses=ConsumptionSerializer,
        summary="Points of one entitlement, on the days that the caller owned it",
    )
    def get(self, request: Request, serial: str) -> Response:
        known = (
            Assignment.objects.visible_to(self.actor).filter(serial_number=serial).exists()
            or Entitlement.objects.visible_to(self.actor).filter(serial_number=serial).exists()
        )
        if not known:
            raise not_found()
        query = self.read_query(RangeSerializer)
        if query["group_by"] == "entitlement":
            raise invalid("?group_by", "One entitlement can't be grouped by entitlement.")
        rows = read_consumption(
            self.actor, first=query["from"], last=query["to"], group_by=query["group_by"], serial=serial
        )
        return Response({"next": None, "previous": None, "results": rows})
