"""Is the process alive, and can the gateway do its work? FortiFlex is not asked: its outage must not restart us."""

from datetime import timedelta

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from tenants import clock
from tenants.actors import system
from tenants.context import acting_as
from tenants.models import Lease

SCHEDULER_BEAT = "scheduler-beat"  # the lease that the every-minute task renews
SCHEDULER_SILENCE = timedelta(minutes=5)


@require_safe
def answer_alive(request: HttpRequest) -> JsonResponse:
    """GET /healthz: this process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def answer_ready(request: HttpRequest) -> JsonResponse:
    """GET /readyz: 200 when database, migrations and scheduler are well, else 503; each part is named."""
    parts = {"database": "ok", "migrations": "ok", "scheduler": "ok"}
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            parts["migrations"] = "some are not applied; run manage.py prepare_database"
        with acting_as(system("readiness")):
            beat = Lease.objects.filter(name=SCHEDULER_BEAT).first()
        if beat is None or beat.held_until is None or beat.held_until < clock.now() - SCHEDULER_SILENCE:
            parts["scheduler"] = "silent for more than five minutes; look at the worker and the scheduler"
    except DatabaseError:
        parts = {"database": "does not answer", "migrations": "unknown", "scheduler": "unknown"}
    ready = all(state == "ok" for state in parts.values())
    return JsonResponse({"status": "ok" if ready else "not ready", **parts}, status=200 if ready else 503)
