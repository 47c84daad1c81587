"""The queue of writes that nobody waits for: sent one after another, fairly between tenants, as the gate lets them through."""

import time
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from django.db import connection

from gateway.gate import Asker, GateClosed, Standing, Why
from gateway.gate.limits import HOUR
from gateway.gate.queue import SERVED
from gateway.models import ApiUser, Operation
from gateway.operations import JOURNAL, put_off
from gateway.provisioning.claiming import Claimed, claim_for_sending
from gateway.provisioning.closing import read_operation
from gateway.provisioning.estimates import price_creation
from gateway.provisioning.sending import in_turn
from tenants import clock
from tenants.context import acting_as

log = structlog.get_logger("flexgate.operations")
# Of every tenant the oldest, and of those the tenant's that was served longest ago (see gate.queue).
NEXT = f"""
    WITH served AS ({SERVED}), oldest AS (
        SELECT DISTINCT ON (tenant_id) id, tenant_id, background FROM gateway_operation
        WHERE api_user_id = %(api_user)s AND state = 'planned' AND deferred AND next_check_at <= %(now)s
        ORDER BY tenant_id, background, id
    )
    SELECT oldest.id, oldest.tenant_id FROM oldest LEFT JOIN served ON served.tenant_id IS NOT DISTINCT FROM oldest.tenant_id
    ORDER BY oldest.background, served.at NULLS FIRST, oldest.id LIMIT 1
"""  # noqa: S608 - put together from constants


@dataclass(slots=True)
class Drainer:
    """Chooses when the lane is free, not when it began to wait: a tenant that came meanwhile is not behind a flood."""

    api_user: ApiUser
    chosen: UUID | None = None
    sent: list[UUID] = field(default_factory=list)

    def choose(self) -> UUID | None:
        """The tenant whose operation is next; inside an open context of the gateway."""
        now = clock.now()
        with connection.cursor() as cursor:
            cursor.execute(NEXT, {"api_user": self.api_user.id, "since": now - HOUR, "now": now})
            row = cursor.fetchone()
        self.chosen = row[0] if row else None
        return row[1] if row else None

    def claim(self) -> Claimed | None:
        """The chosen one, in the transaction that takes the lane. What may not be sent any more has ended with it."""
        if self.chosen is None:
            return None
        self.sent.append(self.chosen)
        operation = Operation.objects.select_related("tenant", "api_user").get(id=self.chosen)
        return claim_for_sending(operation)


def drain_queue(api_user: ApiUser, *, seconds: float, wait_seconds: float = 20.0) -> list[UUID]:
    """Send what waits at this API user, until nothing does, `seconds` are over or the gate is shut; the ids of what was sent.

    What nobody foresaw about one of them is logged and puts that one off: it would be first in the queue again, before everybody's.
    """
    drainer, ends_at = Drainer(api_user), time.monotonic() + seconds
    while time.monotonic() < ends_at:
        with acting_as(JOURNAL):
            drainer.choose()
            if drainer.chosen is None:
                break
            row = Operation.objects.select_related("tenant").get(id=drainer.chosen)
        standing = Standing.BACKGROUND if row.background else Standing.PEOPLE
        try:
            price_creation(row)
            before = len(drainer.sent)
            in_turn(
                api_user,
                Asker(standing, row.tenant_id),
                wait_seconds=wait_seconds,
                claim=drainer.claim,
                stands_for=drainer.choose,
            )
            for operation_id in drainer.sent[before:]:  # not the one that was priced, where another was next by then
                price_creation(read_operation(operation_id))
        except GateClosed as closed:
            if closed.why is not Why.QUEUE:
                break  # what waits stays planned; the next round looks again
        except Exception as error:
            log.exception("operation not sent", operation=str(drainer.chosen))
            if drainer.chosen is None:
                raise
            put_off(drainer.chosen, error)
    return drainer.sent


def api_users_with_a_queue() -> list[ApiUser]:
    """Enabled API users at which something waits for the worker."""
    with acting_as(JOURNAL):
        waiting = Operation.objects.filter(state=Operation.State.PLANNED, deferred=True).values("api_user")
        return list(ApiUser.objects.filter(id__in=waiting, enabled=True).order_by("name"))
