"""What every request about an operation shares: the Prefer header, and the answer that an outcome becomes."""

import re
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.models import Operation
from gateway.operations import describe_operation
from gateway.provisioning.failures import as_problem
from gateway.provisioning.idempotency import LONGEST_KEY, Outcome
from tenants.actors import Actor
from tenants.api.fields import NumberTextField

State = Operation.State
RETRY_AFTER = "5"
PREFER = OpenApiParameter(
    "Prefer", str, OpenApiParameter.HEADER, description="respond-async: 202 at once, the worker sends it"
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
    OpenApiParameter.HEADER,
    description="one key, one operation, for 30 days; 422 if it comes with another body",
)


class OperationErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()
    upstream = serializers.CharField(
        required=False, allow_blank=True, help_text="FortiFlex's own text, for the operator"
    )


class OperationSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Operation.Kind.values)
    state = serializers.ChoiceField(choices=Operation.State.values)
    tenant = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    next_check_at = serializers.DateTimeField(allow_null=True)
    entitlements = serializers.ListField(child=serializers.CharField())
    config = serializers.IntegerField(allow_null=True)
    error = OperationErrorSerializer(allow_null=True)
    points_per_day = NumberTextField(allow_null=True)
    request_id = serializers.CharField()


class AcceptedSerializer(serializers.Serializer[Any]):
    operation = OperationSerializer()


def wants_async(request: Request) -> bool:
    """`Prefer: respond-async` (RFC 7240)."""
    return re.search(r"(^|,)\s*respond-async\s*($|[,;])", request.headers.get("Prefer", "")) is not None


def answer_unfinished(outcome: Outcome, actor: Actor) -> Response | None:
    """202 for what is not settled, the problem for what failed; None where it succeeded and the caller shows what came of it."""
    operation = outcome.operation
    headers = {"Idempotent-Replayed": "true"} if outcome.replayed else {}
    described = {"operation": describe_operation(operation, actor)}
    if operation.state in {State.PLANNED, State.SENT, State.UNKNOWN}:
        location = f"/api/v1/operations/{operation.id}"
        return Response(described, status=202, headers=headers | {"Location": location, "Retry-After": RETRY_AFTER})
    if operation.state == State.FAILED:
        problem = as_problem(operation.error or {}, actor, extra=described)
        problem.headers |= headers
        raise problem
    return None


def replay_headers(outcome: Outcome) -> dict[str, str]:
    return {"Idempotent-Replayed": "true"} if outcome.replayed else {}
