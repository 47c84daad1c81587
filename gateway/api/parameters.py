"""A config's parameters, as they are asked for and shown."""

from typing import Any

from rest_framework import serializers

from tenants.api.fields import StrictIntegerField


class ParameterSerializer(serializers.Serializer[Any]):
    """`value` as a string; a number is taken as its digits. A multi-value parameter repeats its id."""

    id = StrictIntegerField(min_value=1, max_value=100_000)
    value = serializers.CharField(max_length=200)
