"""What one tenant may use up of what all share, and how long a queue takes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Avg

from gateway.gate.limits import HOUR, seconds_of
from gateway.models import ApiUser, UpstreamCall, UpstreamLane
from tenants import clock
from tenants.context import current_request_id
from tenants.last_words import write_last
from tenants.models import Tenant
from tenants.rows import Statement

STEPS = (5, 15, 60, 300, 900, 3600)  # seconds; finer ones would tell how many others wait
FAIR_SHARE = 2  # others are served in between
REFUSED = "rejected"  # the outcome of a call that FortiFlex refused for what was in it
SHARE_LEFT = """(
    SELECT count(*) FROM gateway_upstreamcall WHERE api_user_id = %s AND tenant_id = %s AND at > %s AND failed AND outcome = %s) < %s
"""
WITHHELD = """
    INSERT INTO gateway_upstreamcall (api_user_id, tenant_id, at, path, outcome, failed, milliseconds, request_id)
    VALUES (%s, %s, %s, 'withheld', %s, true, 0, %s)
"""
LAST_OF_SHARE = """
    SELECT at FROM gateway_upstreamcall WHERE api_user_id = %s AND tenant_id = %s AND at > %s AND failed AND outcome = %s
    ORDER BY at DESC OFFSET %s LIMIT 1
"""


def seconds_without_errors(api_user_id: UUID, tenant_id: UUID | None, limits: Mapping[str, Any]) -> int:
    """Seconds until this tenant may write again; 0 = now. Inside an open context that sees the calls.

    FortiFlex gives an API user nine errors an hour, whoever's they are: a tenant that used up its share waits, and the others go on.
    The operator has no share of its own.
    """
    if tenant_id is None:
        return 0
    share = _share_of(limits)
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(LAST_OF_SHARE, [api_user_id, tenant_id, now - HOUR, REFUSED, share - 1])
        row = cursor.fetchone()
    return seconds_of(row[0] + HOUR - now) if row is not None else 0


def share_left(api_user_id: UUID, tenant: Tenant | None, now: datetime) -> Statement:
    """An expression: whether `seconds_without_errors` would be 0."""
    if tenant is None:
        return Statement("true", [])
    return Statement(SHARE_LEFT, [api_user_id, tenant.id, now - HOUR, REFUSED, _share_of(tenant.limits)])


def count_withheld(api_user_id: UUID, tenant_id: UUID | None) -> None:
    """A refusal of ours in FortiFlex's words, so that no customer learns what another has, counts like one of FortiFlex: else the third try
    would tell them apart. From the operator nothing is hidden. Inside an open context of the gateway.
    """
    if tenant_id is not None:
        write_last([Statement(WITHHELD, [api_user_id, tenant_id, clock.now(), REFUSED, current_request_id()])])


def _share_of(limits: Mapping[str, Any]) -> int:
    return int(limits.get("errors_per_hour") or settings.FLEXGATE_ERRORS_PER_TENANT)


def expected_seconds(api_user: ApiUser, calls: int) -> int:
    """How long `calls` more calls take by what the last ones took and by the limits; inside an open context that sees them."""
    now = clock.now()
    recent = UpstreamCall.objects.filter(api_user=api_user, at__gt=now - HOUR)
    took = recent.aggregate(mean=Avg("milliseconds"))["mean"] or 1000.0
    used_up = recent.count() >= api_user.per_hour // 2
    pace = max(float(took) / 1000, 3600 / api_user.per_hour if used_up else 60 / api_user.per_minute)
    lane = UpstreamLane.objects.filter(api_user=api_user, closed_until__gt=now).first()
    closed = seconds_of(lane.closed_until - now) if lane is not None and lane.closed_until is not None else 0
    seconds = closed + calls * pace * FAIR_SHARE
    return next((step for step in STEPS if step >= seconds), STEPS[-1])
