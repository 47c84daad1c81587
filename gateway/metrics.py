"""The gateway's state for monitoring, looked up at each scrape with a handful of counts."""

from datetime import timedelta

from django.db.models import Count, Min

from gateway.health import SCHEDULER_BEAT
from gateway.models import Entitlement, Operation, ProgramAccount, UpstreamCall, UpstreamLane
from tenants import clock
from tenants.actors import system
from tenants.context import acting_as
from tenants.metrics import Readings
from tenants.models import Lease, Unsealed

MONITOR = system("metrics")


def read_state() -> Readings:
    """Operations by state, what waits for the sealer, how full the gates are, how old the mirror and the scheduler's beat are."""
    now = clock.now()
    with acting_as(MONITOR):
        states = dict.fromkeys(Operation.State.values, 0) | dict(
            Operation.objects.values_list("state").annotate(number=Count("id")).values_list("state", "number")
        )
        unsealed = {"audit": 0, "event": 0} | dict(
            Unsealed.objects.values_list("kind").annotate(number=Count("subject_id")).values_list("kind", "number")
        )
        hour = UpstreamCall.objects.filter(at__gt=now - timedelta(hours=1)).values("api_user__name")
        calls = dict(hour.annotate(number=Count("id")).values_list("api_user__name", "number"))
        failed = dict(hour.filter(failed=True).annotate(number=Count("id")).values_list("api_user__name", "number"))
        closed = {
            lane.api_user.name: max(0.0, (lane.closed_until - now).total_seconds()) if lane.closed_until else 0.0
            for lane in UpstreamLane.objects.select_related("api_user")
        }
        unassigned = Entitlement.objects.filter(tenant=None, vanished_at=None).count()
        oldest = ProgramAccount.objects.aggregate(at=Min("mirrored_at"))["at"]
        beat = Lease.objects.filter(name=SCHEDULER_BEAT).values_list("held_until", flat=True).first()
    return [
        ("operations", "Operations by state.", {state: float(number) for state, number in states.items()}),
        ("unsealed", "Records that wait for the sealer.", {kind: float(number) for kind, number in unsealed.items()}),
        ("upstream_calls_last_hour", "Calls to FortiFlex by API user.", {k: float(v) for k, v in calls.items()}),
        (
            "upstream_errors_last_hour",
            "Failed calls by API user; ten an hour close it.",
            {k: float(v) for k, v in failed.items()},
        ),
        ("upstream_closed_seconds", "For how long the gate stays shut, by API user.", closed),
        ("unassigned_entitlements", "Entitlements that nobody owns.", {"all": float(unassigned)}),
        (
            "mirror_age_seconds",
            "Since the oldest complete pass.",
            {"oldest": (now - oldest).total_seconds()} if oldest else {},
        ),
        (
            "scheduler_age_seconds",
            "Since the scheduler's last beat.",
            {"beat": (now - beat).total_seconds()} if beat else {},
        ),
    ]
