"""The end of an attempt: what came back is written down, and the operation's row is locked if its outcome is still open."""

import re
import zlib
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef

from gateway.fortiflex.records import Exchange
from gateway.models import Attempt, Operation
from gateway.operations.settling import State
from tenants import clock
from tenants.rows import Statement, columns_of, instance_of

LICENCE_TOKEN = re.compile(rb'("token"\s*:\s*)"[^"]*"')
SHORT = 1000  # bytes
FINISH = """
    UPDATE gateway_attempt SET finished_at = %s, outcome = %s, http_status = coalesce(%s, http_status), answer = coalesce(%s, answer)
    WHERE id = %s
"""
LOCK_ROW = "SELECT 1 FROM gateway_operation WHERE id = %s FOR UPDATE"
STILL_SENT = """(EXISTS (SELECT 1 FROM gateway_operation WHERE id = %s AND state = 'sent')
    AND NOT EXISTS (SELECT 1 FROM gateway_attempt WHERE operation_id = %s AND number > %s))"""
LOCK = f"""
    SELECT EXISTS (SELECT 1 FROM gateway_attempt later WHERE later.operation_id = operation.id AND later.number > %s),
        {columns_of(Operation, "operation")}
    FROM gateway_operation operation WHERE operation.id = %s AND operation.state IN ('sent', 'unknown') FOR UPDATE OF operation
"""  # noqa: S608 - columns of a model


def close_attempt(
    operation: Operation, attempt: Attempt, *, outcome: str, exchange: Exchange | None
) -> Operation | None:
    """Keep what came back, whole except for licence tokens; the row as `lock_unsettled` gives it. Inside an open `acting_as`.

    `operation`: as it was sent, with its tenant and API user. One round trip, because every write ends here.
    """
    finished = finish_attempt(attempt, outcome=outcome, exchange=exchange)
    with connection.cursor() as cursor:
        cursor.execute(f"{finished.text};{LOCK}", [*finished.values, attempt.number, operation.id])
        cursor.nextset()
        found = cursor.fetchone()
    if found is None or found[0]:
        return None
    row = instance_of(Operation, found[1:])
    row.tenant, row.api_user = operation.tenant, operation.api_user
    return row


def finish_attempt(attempt: Attempt, *, outcome: str, exchange: Exchange | None) -> Statement:
    """What keeps what came back, whole except for licence tokens."""
    attempt.finished_at, attempt.outcome = clock.now(), outcome[:30]
    if exchange is not None:
        attempt.http_status = exchange.http_status
        attempt.answer = _pack(LICENCE_TOKEN.sub(rb'\1"***"', exchange.body))
    return Statement(FINISH, [attempt.finished_at, attempt.outcome, attempt.http_status, attempt.answer, attempt.id])


def _pack(body: bytes) -> bytes:
    """What `zlib.decompress` reads. Short ones as they are, with the smallest tables: there is nothing to gain, and to make room takes time."""
    if len(body) > SHORT:
        return zlib.compress(body)
    packing = zlib.compressobj(level=0, wbits=9, memLevel=1)
    return packing.compress(body) + packing.flush()


def lock_row(operation: Operation) -> Statement:
    return Statement(LOCK_ROW, [operation.id])


def is_still_sent(operation: Operation, attempt: Attempt) -> Statement:
    """An expression: whether nobody has settled or doubted this attempt since it was sent. Asked with the row locked."""
    return Statement(STILL_SENT, [operation.id, operation.id, attempt.number])


def lock_unsettled(operation_id: UUID, *, attempt: int) -> Operation | None:
    """The row, locked, if this attempt's outcome is still open; None if it was settled meanwhile. Inside an open `acting_as`."""
    operation = (
        Operation.objects.select_for_update(of=("self",))
        .select_related("tenant", "api_user")
        .filter(id=operation_id, state__in=[State.SENT, State.UNKNOWN])
        .annotate(superseded=Exists(Attempt.objects.filter(operation=OuterRef("pk"), number__gt=attempt)))
        .first()
    )
    return None if operation is None or operation.superseded else operation  # type: ignore[attr-defined]
