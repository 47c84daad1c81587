"""Plans by the thousand: what follows a bulk hand-over is written in as few statements as the hand-over itself."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from gateway.models import Operation
from gateway.operations.journal import Plan, note_of, row_of
from tenants.actors import Actor
from tenants.audit import record_audits

AT_ONCE = 1000
INSERT = """
    INSERT INTO gateway_operation ({columns})
    SELECT {columns} FROM jsonb_populate_recordset(NULL::gateway_operation, %s::jsonb)
"""  # columns are the model's own


class RowEncoder(DjangoJSONEncoder):
    """A row as PostgreSQL reads it out of JSON: times to the microsecond, which Django cuts."""

    def default(self, o: Any) -> Any:
        return o.isoformat() if isinstance(o, datetime) else super().default(o)


def plan_operations(actor: Actor, plans: Sequence[Plan]) -> list[Operation]:
    """As `plan_operation(…, deferred=True)` for each, in this order: the same rows and the same audit. Inside the caller's `acting_as`."""
    operations = [row_of(actor, plan, deferred=True) for plan in plans]
    for first in range(0, len(operations), AT_ONCE):
        _insert(operations[first : first + AT_ONCE])
    record_audits(actor, [note_of(operation) for operation in operations], subject_type="operation")
    return operations


def _insert(operations: Sequence[Operation]) -> None:
    """In one statement with one value: with one for each column of each row most of the time goes into counting their places."""
    fields = Operation._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    rows = [{field.column: getattr(operation, field.attname) for field in fields} for operation in operations]
    with connection.cursor() as cursor:
        cursor.execute(INSERT.format(columns=columns), [json.dumps(rows, cls=RowEncoder)])
    for operation in operations:
        operation._state.adding, operation._state.db = False, connection.alias
