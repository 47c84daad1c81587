"""What every request about an operation shares: the Prefer header, and the answer that an outcome becomes."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.models import Operation
from gateway.operations import describe_operation, seconds_until_sent
from gateway.provisioning.failures import as_problem
from gateway.provisioning.idempotency import Outcome
from gateway.provisioning.manner import LONGEST_WAIT, Manner
from gateway.wake import wake_drain
from tenants.actors import Actor
from tenants.api.fields import NumberTextField
from tenants.idempotency import REPLAYED, IdempotencyKey

State = Operation.State
PREFER = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    description="respond-async: 202 at once, the worker sends it; wait=N: 202 after N seconds (20 unless named)",
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
    position = serializers.IntegerField(allow_null=True, help_text="among your own writes in the queue; 1 = your next")
    follows = serializers.UUIDField(allow_null=True, help_text="the operation that this one came after by itself")
    followed_by = serializers.UUIDField(
        allow_null=True,
        help_text="the operation that came after this one by itself, known as soon as this one is settled; of several the last",
    )


class AcceptedSerializer(serializers.Serializer[Any]):
    operation = OperationSerializer()


def read_manner(request: Request, *, key: IdempotencyKey | None = None) -> Manner:
    """How the caller wants it, from `Prefer` (RFC 7240): `respond-async` = 202 at once, `wait=N` = 202 after N seconds.

    Together they mean `wait=N`. A preference that can't be read is ignored, as that document wants it.
    """
    seconds: float | None = None
    for preference in request.headers.get("Prefer", "").split(","):
        name, _, value = preference.split(";")[0].strip().partition("=")
        value = value.strip().strip('"')
        if name.strip().lower() == "wait" and value.isascii() and value.isdigit():
            return Manner(key=key, wait_seconds=min(float(value[:6]), LONGEST_WAIT))
        if name.strip().lower() == "respond-async":
            seconds = 0
    return Manner(key=key) if seconds is None else Manner(key=key, wait_seconds=seconds)


def answer_unfinished(outcome: Outcome, actor: Actor) -> Response | None:
    """202 for what is not settled, the problem for what failed; None where it succeeded and the caller shows what came of it."""
    operation = outcome.operation
    headers = replay_headers(outcome)
    described = {"operation": describe_operation(operation, actor)}
    if operation.state in {State.PLANNED, State.SENT, State.UNKNOWN}:
        if operation.state == State.PLANNED:
            wake_drain(operation.api_user_id)
        wait = seconds_until_sent(operation)
        location = f"/api/v1/operations/{operation.id}"
        return Response(described, status=202, headers=headers | {"Location": location, "Retry-After": str(wait)})
    if operation.state == State.FAILED:
        problem = as_problem(operation.error or {}, actor, extra=described)
        problem.headers |= headers
        raise problem
    return None


def replay_headers(outcome: Outcome) -> dict[str, str]:
    return dict(REPLAYED) if outcome.replayed else {}
