"""Which of FortiFlex's records differ from what is stored, without making an instance of each: most passes find no difference at all."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from gateway.fortiflex import records

HIDDEN = ("token",)  # a licence token lives in its own column, not in the raw record
STORED = """
    SELECT serial_number, program_id, config_id, account_id, upstream_description, status, start_day, end_day, token, token_status,
        missed_at IS NULL AND vanished_at IS NULL, raw::text
    FROM gateway_entitlement WHERE serial_number = ANY(%s::text[])
"""


def find_differing(
    found: Mapping[str, records.Entitlement], *, program_serial: str, account_id: int
) -> dict[str, records.Entitlement]:
    """Those of `found` that are new or differ in anything that the mirror keeps. One query, and no row is touched twice."""
    differing = dict(found)
    with connection.cursor() as cursor:
        cursor.execute(STORED, [list(found)])
        for serial, *columns, raw in cursor.fetchall():
            item = found[serial]
            told = [
                program_serial,
                item.config_id,
                item.account_id if item.account_id is not None else account_id,
                item.description,
                item.status,
                item.start_day,
                item.end_day,
                item.token or "",
                item.token_status or "",
                True,
            ]
            if columns == told and _is_same_record(raw, item.raw):
                del differing[serial]
    return differing


def keep_raw(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A record as its column gives it back: without the licence token, fractions as text."""
    kept = json.dumps({name: value for name, value in raw.items() if name not in HIDDEN}, cls=DjangoJSONEncoder)
    return dict(json.loads(kept, parse_float=Decimal))


def _is_same_record(stored: str, raw: Mapping[str, Any]) -> bool:
    """The fast parser makes floats of fractions, which the exact form has none of: they only ever lead to the slower comparison."""
    fast = orjson.loads(stored)
    return bool(fast == {name: value for name, value in raw.items() if name not in HIDDEN} or fast == keep_raw(raw))
