"""Nothing that a body may hold is without bounds: read from the description, so that a new field is looked at when it comes."""

from collections.abc import Iterator
from typing import Any

from django.test import Client

# A mapping of labels is bounded by the verb (20 of them, 200 characters each), where the fault can be told by its key.
LABELS = frozenset({"labels", "operator_labels"})


def unbounded(
    name: str, form: dict[str, Any], schemas: dict[str, Any], seen: frozenset[str] = frozenset()
) -> Iterator[str]:
    reference = form.get("$ref", "").rpartition("/")[2]
    if reference and reference not in seen:
        yield from unbounded(name, schemas[reference], schemas, seen | {reference})
    for part in (*form.get("allOf", ()), *form.get("oneOf", ()), *form.get("anyOf", ())):
        yield from unbounded(name, part, schemas, seen)
    kinds = form.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "string" in kinds and not form.keys() & {"maxLength", "pattern", "enum", "format"}:
        yield f"{name}: a text"
    if "integer" in kinds and not (form.keys() & {"maximum"}):
        yield f"{name}: a number"
    if "array" in kinds:
        if "maxItems" not in form:
            yield f"{name}: a list"
        yield from unbounded(f"{name}[]", form["items"], schemas, seen)
    for inner, shape in form.get("properties", {}).items():
        yield from unbounded(f"{name}.{inner}", shape, schemas, seen)
    if isinstance(form.get("additionalProperties"), dict) and name.rpartition(".")[2] not in LABELS:
        yield f"{name}: a mapping"


def test_every_field_of_every_body_has_bounds() -> None:
    described = Client().get("/api/v1/schema", headers={"Host": "localhost"}).json()
    schemas = described["components"]["schemas"]
    found, looked_at = set(), 0
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None:
                looked_at += 1
                found |= set(unbounded(f"{method.upper()} {path} ", content["schema"], schemas))
    assert looked_at > 12
    assert found == set()


def test_a_planted_field_without_bounds_is_found() -> None:
    planted = {"type": "object", "properties": {"x": {"type": "array", "items": {"type": "string"}}}}
    assert set(unbounded("body", planted, {})) == {"body.x: a list", "body.x[]: a text"}
