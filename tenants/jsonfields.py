"""JSON columns that never make a float: numbers with a fraction come back as Decimal, and Decimal goes in as a string."""

import json
from decimal import Decimal
from typing import Any

import orjson
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from psycopg.types.json import Jsonb


class ExactDecoder(json.JSONDecoder):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**(kwargs | {"parse_float": Decimal}))


_encoder = DjangoJSONEncoder()
_AS_DJANGO = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
# One for all: json.loads would build a decoder anew for every value of every row.
_decode = ExactDecoder().decode


def json_text(value: Any) -> str:
    """`value` as Django's encoder writes it (Decimal as a string), but for spaces. TypeError for what has no place in JSON."""
    try:
        return orjson.dumps(value, default=_encoder.default, option=_AS_DJANGO).decode()
    except TypeError:  # whole numbers beyond 64 bits, keys that are none
        return json.dumps(value, cls=DjangoJSONEncoder)


class ExactJSONField(models.JSONField):
    """A JSONField whose numbers stay exact."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"encoder": DjangoJSONEncoder, "decoder": ExactDecoder}))

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        written = super().get_db_prep_value(value, connection, prepared)
        return Jsonb(written.obj, dumps=json_text) if isinstance(written, Jsonb) else written

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value is None:
            return None
        if value == "{}":  # most labels are
            return {}
        try:
            return _decode(value)
        except json.JSONDecodeError:
            return value  # a text that a query took out of a document, as Django has it

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("encoder", None)
        kwargs.pop("decoder", None)
        return name, path, args, kwargs
