"""What a serializer knows: its fields, the parameters that a query may have, and what of a body is none of them."""

import functools
import threading
from collections.abc import Iterator, Mapping
from typing import Any, cast

from rest_framework import serializers

_kept = threading.local()


def serializer_with_fields(serializer_class: type[serializers.Serializer[Any]], body: Any) -> Any:
    """A serializer of `body` with the fields of this thread's first one: to copy them takes longer than to check what they describe.

    They know neither request nor body; what depends on those is checked by the verbs.
    """
    kept = cast(dict[Any, Any], vars(_kept))
    if serializer_class not in kept:
        kept[serializer_class] = serializer_class().fields
    serializer = serializer_class(data=body)
    serializer.__dict__["fields"] = kept[serializer_class]
    return serializer


@functools.cache
def parameters_of(serializer_class: type[serializers.Serializer[Any]] | None) -> tuple[frozenset[str], bool]:
    """The names that a query may have, and whether none of them need be there: then an empty query needs no serializer at all."""
    fields = serializer_class().fields if serializer_class is not None else {}
    optional = all(not field.required and field.default is serializers.empty for field in fields.values())
    return frozenset(fields), optional and not _checks_more(serializer_class)


def _checks_more(serializer_class: type[serializers.Serializer[Any]] | None) -> bool:
    """Whether it looks at more than each field by itself."""
    return serializer_class is not None and "validate" in vars(serializer_class)


def unknown_fields(serializer: Any, body: Any, pointer: str = "") -> Iterator[str]:
    """Pointers to what no serializer knows, at any depth; values of the wrong type are for the serializer itself."""
    if isinstance(serializer, (serializers.ListSerializer, serializers.ListField)) and isinstance(body, list):
        for index, item in enumerate(body):
            yield from unknown_fields(serializer.child, item, f"{pointer}/{index}")
    elif isinstance(serializer, serializers.Serializer) and isinstance(body, Mapping):
        for name in sorted(body):
            if name not in serializer.fields:
                yield f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            else:
                yield from unknown_fields(serializer.fields[name], body[name], f"{pointer}/{name}")
