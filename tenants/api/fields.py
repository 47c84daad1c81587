"""Serializer fields that several resources share."""

import ipaddress
import re
from typing import Any

from rest_framework import serializers

LARGEST_WHOLE = 2**63 - 1
PLAIN_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class NetworkField(serializers.CharField):
    """An IPv4 or IPv6 network or single address, such as 192.0.2.0/24."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return str(ipaddress.ip_network(text))
        except ValueError as error:
            raise serializers.ValidationError(
                "Use a network such as 192.0.2.0/24 or 2001:db8::/32, without host bits."
            ) from error


class StrictBooleanField(serializers.BooleanField):
    """true or false; DRF's own takes "yes" and 1 as well."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("Use true or false.")
        return data


class StrictIntegerField(serializers.IntegerField):
    """A whole JSON number that PostgreSQL can keep (64 bits); DRF's own takes "3" as well."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_value": LARGEST_WHOLE} | kwargs)

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            raise serializers.ValidationError("Use a whole number.")
        return super().to_internal_value(data)


class StrictCharField(serializers.CharField):
    """A JSON string without control characters; DRF's own takes numbers as well."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Use a string.")
        if any(ord(char) < 32 and char not in "\t\n" for char in data) or "\x7f" in data:
            raise serializers.ValidationError("Leave control characters out.")
        return super().to_internal_value(data)


class StrictDecimalField(serializers.DecimalField):
    """A number from 0 up, exact: a string such as "0.05" (a JSON number is taken too). No sign, exponent or blank."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, bool) or (isinstance(data, str) and not PLAIN_NUMBER.fullmatch(data)):
            raise serializers.ValidationError('Use a plain number such as "0.05".')
        return super().to_internal_value(data)


class NumberTextField(serializers.RegexField):
    """Points and money in an answer: exact, as a string."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(r"^-?[0-9]+(\.[0-9]+)?$", **kwargs)
