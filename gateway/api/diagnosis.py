"""The diagnosis of an entitlement over REST."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.diagnosis import CODES, diagnose_entitlement
from gateway.diagnosis.rule import Severity
from tenants.api import ApiView


class MirrorSerializer(serializers.Serializer[Any]):
    synced_at = serializers.DateTimeField(allow_null=True, help_text="when its account was last read as a whole")
    age_seconds = serializers.IntegerField(allow_null=True, min_value=0)


class FindingSerializer(serializers.Serializer[Any]):
    code = serializers.ChoiceField(choices=CODES)
    severity = serializers.ChoiceField(choices=[severity.value for severity in Severity])
    message = serializers.CharField(help_text="a sentence for people that says what to do")
    since = serializers.CharField(allow_null=True, help_text="a moment or a billing day, where one is known")
    details = serializers.DictField(help_text="what a program may want to know, by code")


class DiagnosisSerializer(serializers.Serializer[Any]):
    serial_number = serializers.CharField()
    checked_at = serializers.DateTimeField()
    mirror = MirrorSerializer(allow_null=True, help_text="null for who owned it once")
    findings = FindingSerializer(many=True, help_text="the worst first; none = nothing is the matter")
    left_out = serializers.ListField(
        child=serializers.CharField(),
        help_text="scopes that this token lacks, and without which some findings are not told",
    )


class DiagnosisView(ApiView):
    """A past owner is told of its own days alone, so unlike the entitlement itself this answers it."""

    scopes = {"GET": "entitlements:read"}
    narrowed_methods = frozenset({"GET"})

    @extend_schema(
        operation_id="diagnose_entitlement",
        responses=DiagnosisSerializer,
        summary="What is the matter with it, and what to do",
    )
    def get(self, request: Request, serial: str) -> Response:
        self.read_query()
        return Response(diagnose_entitlement(self.actor, serial))
