"""What every request about an operation shares: the Prefer header, and the answer that an outcome becomes."""

import re
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.models import Operation
from gateway.operations import describe_operation
from gateway.provisioning.failures import as_problem
from gateway.provisioning.idempotency import Outcome
from tenants.actors import Actor

State = Operation.State
RETRY_AFTER = "5"


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
    points_per_day = serializers.CharField(allow_null=True)
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
