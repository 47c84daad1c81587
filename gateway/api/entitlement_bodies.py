"""What goes in and out of the entitlements' views: bodies, filters, answers."""

from typing import Any

from rest_framework import serializers

from gateway.api.parameters import ParameterSerializer
from gateway.api.preferences import OperationSerializer
from tenants.api.fields import StrictBooleanField, StrictCharField, StrictIntegerField


class EntitlementCreateSerializer(serializers.Serializer[Any]):
    config = StrictIntegerField(min_value=1)
    count = StrictIntegerField(required=False, help_text="1 to 100, for virtual machines")
    serial_numbers = serializers.ListField(
        child=StrictCharField(max_length=40), max_length=100, required=False, help_text="1 to 100, for hardware"
    )
    description = StrictCharField(
        required=False, allow_blank=True, default="", trim_whitespace=False, max_length=10_000
    )
    end_date = serializers.DateField(required=False, allow_null=True)
    folder_path = StrictCharField(required=False, max_length=300)
    skip_pending = StrictBooleanField(required=False, default=False, help_text="active at once, and charged at once")
    labels = serializers.DictField(child=StrictCharField(max_length=200, allow_blank=True), required=False)
    tenant = StrictCharField(
        required=False, allow_null=True, max_length=40, help_text="an operator must name it; null = nobody's"
    )


class EntitlementChangeSerializer(serializers.Serializer[Any]):
    description = StrictCharField(required=False, allow_blank=True, trim_whitespace=False, max_length=10_000)
    end_date = serializers.DateField(required=False)
    labels = serializers.DictField(child=StrictCharField(max_length=200, allow_blank=True), required=False)
    operator_labels = serializers.DictField(child=StrictCharField(max_length=200, allow_blank=True), required=False)
    config = StrictIntegerField(min_value=1, required=False)
    parameters = serializers.ListField(child=ParameterSerializer(), required=False, min_length=1, max_length=200)


class EntitlementSerializer(serializers.Serializer[Any]):
    serial_number = serializers.CharField()
    tenant = serializers.CharField(allow_null=True)
    config = serializers.IntegerField()
    account_id = serializers.IntegerField()
    program = serializers.CharField()
    product = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    status = serializers.CharField()
    start_date = serializers.DateField(allow_null=True)
    end_date = serializers.DateField(allow_null=True)
    token = serializers.CharField(allow_null=True, help_text="shown with entitlements:write")
    token_status = serializers.CharField(allow_null=True)
    labels = serializers.DictField(child=serializers.CharField())
    operator_labels = serializers.DictField(child=serializers.CharField())
    seen_at = serializers.DateTimeField(allow_null=True)


class ChangedSerializer(EntitlementSerializer):
    moved_from_config = serializers.IntegerField(
        required=False, help_text="others depend on that configuration: this one got its own, to be resized alone"
    )


class EntitlementPageSerializer(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = EntitlementSerializer(many=True)


class CreatedSerializer(serializers.Serializer[Any]):
    operation = OperationSerializer()
    entitlements = EntitlementSerializer(many=True)


class EntitlementFilterSerializer(serializers.Serializer[Any]):
    tenant = serializers.CharField(max_length=40, required=False, help_text="a slug, or unassigned")
    status = serializers.CharField(max_length=20, required=False)
    config = serializers.IntegerField(min_value=1, max_value=2**62, required=False)
    product = serializers.CharField(max_length=200, required=False)
    label = serializers.CharField(  # type: ignore[assignment]
        max_length=300, required=False, help_text="name=value, or a name alone"
    )
    search = serializers.CharField(
        max_length=200,
        required=False,
        help_text="any part of the description, the serial number or the labels, whatever the case",
    )


class TransferSerializer(serializers.Serializer[Any]):
    account_id = StrictIntegerField(min_value=1, help_text="the account to move to, of the same program")
    config = StrictIntegerField(
        min_value=1, required=False, help_text="a configuration there; else one of the same size"
    )


class NextTokenSerializer(serializers.Serializer[Any]):
    config = StrictIntegerField(min_value=1, required=False)
    folder_path = StrictCharField(max_length=300, required=False)
