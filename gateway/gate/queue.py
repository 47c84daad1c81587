"""Who goes next: people before reconciliation before background; inside each, the tenant that was served longest ago; then who came first."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from gateway.gate.limits import HOUR, Asker
from gateway.models import ApiUser, UpstreamTurn

# `served` = when each tenant had its last turn: whoever floods has just had one, so a newcomer is next.
SERVED = """
    SELECT tenant_id, max(at) AS at FROM gateway_upstreamcall
    WHERE api_user_id = %(api_user)s AND at > %(since)s GROUP BY tenant_id
"""
ORDERED = f"""
    WITH served AS ({SERVED})
    SELECT turn.id FROM gateway_upstreamturn turn
    LEFT JOIN served ON served.tenant_id IS NOT DISTINCT FROM turn.tenant_id
    WHERE turn.api_user_id = %(api_user)s AND turn.alive_until > %(now)s AND turn.standing = ANY(%(standings)s)
    ORDER BY turn.standing, served.at NULLS FIRST, turn.id
"""  # noqa: S608 - put together from constants


def stand_in_line(api_user: ApiUser, turn_id: UUID, asker: Asker, alive_until: datetime) -> None:
    """Enter the queue, or say that we still look."""
    UpstreamTurn.objects.update_or_create(
        id=turn_id,
        defaults={
            "api_user": api_user,
            "tenant_id": asker.tenant_id,
            "standing": int(asker.standing),
            "alive_until": alive_until,
        },
    )


def step_out(turn_id: UUID) -> None:
    UpstreamTurn.objects.filter(id=turn_id).delete()


def place_in_line(api_user: ApiUser, turn_id: UUID, now: datetime, standings: list[int]) -> int:
    """How many living ones of these standings go before this turn."""
    values: dict[str, Any] = {"api_user": api_user.id, "now": now, "since": now - HOUR, "standings": standings}
    with connection.cursor() as cursor:
        cursor.execute(ORDERED, values)
        ordered = [row[0] for row in cursor.fetchall()]
    return ordered.index(turn_id) if turn_id in ordered else len(ordered)
