"""JSON columns that never make a float: numbers with a fraction come back as Decimal, and Decimal goes in as a string."""

import json
from decimal import Decimal
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models


class ExactDecoder(json.JSONDecoder):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**(kwargs | {"parse_float": Decimal}))


class ExactJSONField(models.JSONField):
    """A JSONField whose numbers stay exact."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **(kwargs | {"encoder": DjangoJSONEncoder, "decoder": ExactDecoder}))

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("encoder", None)
        kwargs.pop("decoder", None)
        return name, path, args, kwargs
