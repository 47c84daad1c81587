"""What a client sent, read field by field. Only what is named here is looked at; nothing of the body goes on as it is.

FortiFlex ignores what it does not know (Terraform and the FortiSOAR connector send `count` and `description` where the reference has
none), so unknown fields are passed over. A key that comes twice is refused: two readers would read two bodies.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from rest_framework.exceptions import ParseError

from gateway.dropin.envelope import refuse
from gateway.fortiflex.days import parse_wire_day
from tenants.bodies import parse_object

WHOLE = re.compile(r"-?[0-9]{1,18}")
NOTHING = (b"", b'""', b"null")
LONGEST_TEXT = 1000
MOST_ITEMS = 200
LARGEST_CATALOGUE_ID = 100_000  # as the REST API's


def read_json(raw: bytes) -> dict[str, Any]:
    """An object; nothing and `""` count as an empty one, as some clients send on programs/list."""
    if raw.strip() in NOTHING:
        return {}
    try:
        return parse_object(raw)
    except ParseError as error:
        raise refuse(str(error)) from error


class Body:
    """The fields of one request. null is as good as left out, everywhere; each reader refuses what can't be meant."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def whole(self, name: str) -> int | None:
        """A number, or its digits in a string: Terraform writes ids so."""
        value = self._fields.get(name)
        if value is None or value == "":
            return None
        text = value.strip() if isinstance(value, str) else write_scalar(value)
        if text is None or not WHOLE.fullmatch(text):
            raise refuse(f"Invalid value for {name}.")
        return int(text)

    def required_whole(self, name: str) -> int:
        value = self.whole(name)
        if value is None:
            raise refuse(f"{name} is required.")
        return value

    def catalogue_id(self, name: str) -> int:
        """A product's or a parameter's: what Fortinet will add nobody knows, so only what can be none is refused."""
        value = self.required_whole(name)
        if not 1 <= value <= LARGEST_CATALOGUE_ID:
            raise refuse(f"Invalid value for {name}.")
        return value

    def text(self, name: str) -> str | None:
        """None where it is left out; "" stays "", which clears a description."""
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > LONGEST_TEXT or "\x00" in value:
            raise refuse(f"Invalid value for {name}.")
        return value

    def required_text(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise refuse(f"{name} is required.")
        return value

    def flag(self, name: str) -> bool:
        value = self._fields.get(name)
        if value in (None, "", False, "false", "False"):
            return False
        if value in (True, "true", "True"):
            return True
        raise refuse(f"Invalid value for {name}.")

    def day(self, name: str) -> date | None:
        """The Pacific day of a date or a time in any of FortiFlex's forms."""
        text = self.text(name)
        if not text:
            return None
        try:
            return parse_wire_day(text)
        except (ValueError, OverflowError):
            raise refuse(f"Invalid value for {name}.") from None

    def required_day(self, name: str) -> date:
        value = self.day(name)
        if value is None:
            raise refuse(f"{name} is required.")
        return value

    def texts(self, name: str) -> list[str] | None:
        """A list of strings, or one string."""
        value = self._fields.get(name)
        if value is None:
            return None
        items = value if isinstance(value, list) else [value]
        if len(items) > MOST_ITEMS or not all(_is_text(item) for item in items):
            raise refuse(f"Invalid value for {name}.")
        return items

    def parameters(self) -> list[dict[str, Any]] | None:
        """[{"id", "value"}]; a value may be a string or a number, a multi-value parameter repeats its id."""
        value = self._fields.get("parameters")
        if value is None:
            return None
        if not isinstance(value, list) or len(value) > MOST_ITEMS:
            raise refuse("Invalid value for parameters.")
        return [_read_parameter(item) for item in value]


def write_scalar(value: Any) -> str | None:
    """A number as text; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    if isinstance(value, int):
        return str(value) if -(10**18) < value < 10**18 else None
    return format(value.normalize(), "f") if value.is_finite() and -30 < value.adjusted() < 18 else None


def _read_parameter(item: Any) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        raise refuse("Invalid value for parameters.")
    parameter_id = Body(item).catalogue_id("id")
    value = item.get("value")
    text = value if isinstance(value, str) else write_scalar(value)
    if text is None or len(text) > LONGEST_TEXT or "\x00" in text:
        raise refuse(f"Parameter id {parameter_id}: invalid value.")
    return {"id": parameter_id, "value": text}


def canonical(values: Mapping[str, Any] | Sequence[Any]) -> Any:
    """Checked values in one form, for a digest."""
    if isinstance(values, Mapping):
        return {str(key): canonical(value) for key, value in sorted(values.items())}
    if isinstance(values, (list, tuple)):
        return [canonical(value) for value in values]
    return values if values is None or isinstance(values, (bool, int, str)) else str(values)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT and "\x00" not in value
