"""JSON columns that never make a float: numbers with a fraction come back as Decimal, and Decimal goes in as a string."""

import json
from decimal import Decimal
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models


class ExactDecoder(json.JSONDecoder):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**(kwargs | {"parse_float": Decimal}))


# One for all: json.loads would build a decoder anew for every value of every row.
_decode = ExactDecoder().decode


class ExactJSONField(models.JSONField):
    """A JSONField whose numbers stay exact."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"encoder": DjangoJSONEncoder, "decoder": ExactDecoder}))

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
