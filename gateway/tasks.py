"""Timed work. Tasks carry ids, re-read their rows and may run twice or never end: what is due is always found again in PostgreSQL."""

from uuid import UUID

import structlog
from celery import shared_task

from gateway.dropin.turns import TURN_LEASE
from gateway.fortiflex.errors import FortiFlexError
from gateway.gate import forget_old_calls
from gateway.health import SCHEDULER_BEAT
from gateway.ledger.pull import pull_points
from gateway.mirror import PassUnderWay, sync_api_user
from gateway.models import ApiUser
from gateway.ownership import ensure_flipped
from gateway.provisioning.draining import api_users_with_a_queue, drain_queue
from gateway.reconciliation import reconcile_operations
from gateway.tag_following import follow_tags
from tenants import ids
from tenants.actors import system
from tenants.context import acting_as, with_request_id
from tenants.idempotency import forget_old_keys
from tenants.leases import forget_old_leases, lease_for, take_lease
from tenants.rate_limits import forget_full_buckets
from tenants.sealing import seal_audit, seal_events, tell_heads
from tenants.session_tokens import forget_old_sessions
from tenants.sessions import SessionStore

log = structlog.get_logger("flexgate.tasks")
WORKER = system("worker")
# A lease runs out by itself when a worker was killed; long enough that a slow account doesn't lose it under way.
POINTS_LEASE, RECONCILE_LEASE, TAGS_LEASE = 3600, 300, 1800
DRAIN_SECONDS, DRAIN_LEASE = 60, 180  # a round ends with a call and its wait


@shared_task
def keep_time() -> None:
    """Every few seconds: say that scheduler and worker live, hand over what changes hands today, wake up what is due."""
    take_lease(SCHEDULER_BEAT, seconds=1)
    ensure_flipped()
    reconcile_due.delay()
    for api_user in api_users_with_a_queue():
        drain_one.delay(str(api_user.id))


@shared_task
def sync_api_users() -> None:
    for api_user_id in _enabled_api_users():
        sync_one.delay(api_user_id)


@shared_task
def sync_one(api_user_id: str) -> None:
    api_user = _find(api_user_id)
    if api_user is None:
        return  # it was switched off meanwhile
    with with_request_id(ids.new_id().hex):
        try:
            sync_api_user(api_user)
        except PassUnderWay:
            return  # another worker is at it, or a person
        except FortiFlexError as error:
            log.warning("sync stopped", api_user=api_user.name, reason=str(error))


@shared_task
def pull_all_points() -> None:
    for api_user_id in _enabled_api_users():
        pull_one.delay(api_user_id)


@shared_task
def pull_one(api_user_id: str) -> None:
    api_user = _find(api_user_id)
    with lease_for(f"points {api_user_id}", seconds=POINTS_LEASE) as held, with_request_id(ids.new_id().hex):
        if held is None or api_user is None:
            return
        try:
            pull_points(api_user)
        except FortiFlexError as error:
            log.warning("points stopped", api_user=api_user.name, reason=str(error))


@shared_task
def reconcile_due() -> None:
    with lease_for("reconcile", seconds=RECONCILE_LEASE) as held, with_request_id(ids.new_id().hex):
        if held is not None:
            reconcile_operations(drain=False)


@shared_task
def drain_one(api_user_id: str) -> None:
    """Send what waits at one API user; a hanging one keeps nobody else's queue waiting."""
    api_user = _find(api_user_id)
    with lease_for(f"drain {api_user_id}", seconds=DRAIN_LEASE) as held, with_request_id(ids.new_id().hex):
        if held is not None and api_user is not None:
            drain_queue(api_user, seconds=DRAIN_SECONDS)


@shared_task
def follow_all_tags() -> None:
    for api_user_id in _enabled_api_users(tags_follow=True):
        follow_one.delay(api_user_id)


@shared_task
def follow_one(api_user_id: str) -> None:
    api_user = _find(api_user_id)
    with lease_for(f"tags {api_user_id}", seconds=TAGS_LEASE) as held, with_request_id(ids.new_id().hex):
        if held is None or api_user is None:
            return
        ensure_flipped()
        follow_tags(api_user)


@shared_task
def seal_records() -> None:
    seal_events()
    seal_audit()


@shared_task
def tell_audit_heads() -> None:
    tell_heads()


@shared_task
def forget_calls() -> None:
    """Daily: what only served the limits, and sessions, locks and idempotency keys that have run out."""
    forget_old_calls()
    with acting_as(WORKER):
        forget_full_buckets()
        forget_old_leases(prefix=TURN_LEASE)
    SessionStore.clear_expired()
    forget_old_sessions()
    forget_old_keys()


def _enabled_api_users(**more: bool) -> list[str]:
    with acting_as(WORKER):
        rows = ApiUser.objects.filter(enabled=True, **more).order_by("name")
        return [str(row) for row in rows.values_list("id", flat=True)]


def _find(api_user_id: str) -> ApiUser | None:
    with acting_as(WORKER):
        return ApiUser.objects.filter(id=UUID(api_user_id), enabled=True).first()
